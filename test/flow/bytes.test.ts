// C-FLO: streams of real bytes over links with a bandwidth: typed clients, straight and through a proxy. The other files of
// this folder let small messages stand for large ones; here it shows that this changes nothing.

import { expect, it } from "vitest";
import type { Hook } from "../../src/hook/hook.js";
import type { StreamFlow } from "../../src/rpc/flow.js";
import { type LinkOptions, TestVats } from "../../src/testing.js";
import { serve, whenStreamed } from "../../src/typed.js";
import { type Path, StreamLab } from "../support/streams.js";
import * as f from "../typed/schemas/features.capnp.js";

const KIB = 1024;
/** About what a Call message adds to its params, for the window and on the line. */
const ENVELOPE = 150;

/** Writes to the last of the vats, through those between; each chunk takes `pace` ms there. */
function typed(links: LinkOptions[], pace: number) {
  const net = new TestVats();
  const names = [...links, null].map((_, i) => `v${i}`);
  const last = names.at(-1)!;
  let received = 0;
  const offer = (i: number): Hook =>
    names[i] === last
      ? sink._hook!.addRef()
      : net.vats
          .get(names[i]!)!
          .to(names[i + 1]!)
          .bootstrap();
  names.forEach((name, i) => net.vat(name, { bootstrap: () => offer(i) }));
  const server = {
    async write({ chunk }: f.Everything_write$Params) {
      received += chunk.length;
      if (pace > 0) await net.sleep(pace);
    },
    shapes: () => ({ shape: { name: "there" } }),
  } as unknown as f.Everything.Server;
  const sink = serve(f.Everything, server, { scheduler: net.vats.get(last)!.scheduler });
  links.forEach((link, i) => net.link(names[i]!, names[i + 1]!, link));
  const client = net.bootstrap("v0", "v1", f.Everything);
  const end = (): void => {
    client[Symbol.dispose]();
    net.advance(10_000);
    sink[Symbol.dispose]();
    net.assertEmpty();
  };
  /** Params that each vat behind the first is handling, or has withheld. */
  const taken = (): number[] =>
    names.slice(1).map((name, i) => {
      const stats = net.vats.get(name)!.to(names[i]!).stats();
      return stats.incomingCallBytes + stats.withheldCallBytes;
    });
  return { net, client, end, taken, received: () => received };
}

const flowOf = (client: f.Everything): StreamFlow => client._hook!.flow as StreamFlow;

it("C-FLO-05: real chunks get the same of a link as those that stand for them", () => {
  const path: Path = { roundTrip: 20, bandwidth: 20_000 };
  const results = [true, false].map((real) => {
    const lab = new StreamLab(path);
    const { producer, consumer } = lab.open(64 * KIB, real);
    producer.start();
    lab.net.advance(1000);
    const before = lab.net.load(lab.first, "v1").bytes;
    lab.net.advance(600);
    const { bytes, mostQueued } = lab.net.load(lab.first, "v1");
    expect(consumer.received).toBeGreaterThan(0);
    lab.end();
    return { used: (bytes - before) / 600 / path.bandwidth, mostQueued };
  });
  const [real, weighed] = results as [(typeof results)[0], (typeof results)[0]];
  expect(real.used).toBeGreaterThan(0.9);
  expect(Math.abs(real.used / weighed.used - 1)).toBeLessThan(0.05);
  expect(Math.abs(real.mostQueued / weighed.mostQueued - 1)).toBeLessThan(0.1);
});

it("C-FLO-02: a typed writer that awaits each write fills the link and no more", async () => {
  const bandwidth = 10_000;
  const { net, client, end, received } = typed([{ delay: 5, bandwidth }], 0);
  const chunk = new Uint8Array(16 * KIB);
  let most = 0;
  const upload = async (bytes: number): Promise<void> => {
    for (let sent = 0; sent < bytes; sent += chunk.length) {
      await client.write({ chunk });
      most = Math.max(most, flowOf(client).bytesInFlight);
    }
    await whenStreamed(client);
  };
  await net.run(upload(128 * 16 * KIB)); // the start-up
  most = 0;
  const start = net.now;
  const bytes = 128 * 16 * KIB;
  await net.run(upload(bytes));
  expect(received()).toBe(256 * 16 * KIB);
  // The last chunk's answer comes a round trip after it left.
  expect(bytes / (net.now - start - 10) / bandwidth).toBeGreaterThan(0.9);
  expect(most).toBeLessThan(2.25 * 1.2 * (10 * bandwidth) + 2 * (16 * KIB + ENVELOPE));
  end();
});

it("C-FLO-15: through a proxy a slow reader stops the writer; no vat holds more than its window", async () => {
  const link = { delay: 2, bandwidth: 50_000 };
  const { net, client, end, taken, received } = typed([link, link], 2);
  const chunk = new Uint8Array(8 * KIB); // 4 KiB in a millisecond: a twelfth of the link
  const held: number[][] = [];
  const upload = async (): Promise<void> => {
    for (let i = 0; i < 220; i++) {
      await client.write({ chunk });
      held.push(taken());
    }
    await whenStreamed(client);
  };
  await net.run(upload());
  expect(received()).toBe(220 * 8 * KIB);
  // 220 chunks of 2 ms each, and what it took to get the first one there and the last answer back.
  expect(net.now).toBeLessThan(440 + 20);
  // 8 ms of links, 2 of the reader's, and what a chunk takes on two lines, at the reader's pace of 4 KiB in a millisecond.
  const fits = 10.5 * 4 * KIB;
  const over = 2 * (8 * KIB + ENVELOPE);
  for (const at of held) for (const bytes of at) expect(bytes).toBeLessThan(4.1 * fits + over);
  for (const at of held.slice(-50))
    for (const bytes of at) expect(bytes).toBeLessThan(2.25 * 1.1 * fits + over);
  // The pressure was there: the proxy did wait for the reader.
  expect(Math.max(...held.map(([proxy]) => proxy!))).toBeGreaterThan(48 * KIB);
  expect(taken()).toEqual([0, 0]);
  end();
});

it("C-FLO-21: a peer lost in the middle settles every write, and each later one", async () => {
  const { net, client, end, taken } = typed([{ delay: 10, bandwidth: 1000 }], 0);
  const flow = flowOf(client);
  const chunk = new Uint8Array(32 * KIB);
  const writes = Array.from({ length: 12 }, () => client.write({ chunk }));
  const asked = client.shapes();
  const streamed = whenStreamed(client);
  net.advance(100);
  net.cut("v0", "v1");
  const settled = await net.run(Promise.allSettled([...writes, asked, streamed]));
  const gone = { status: "rejected", reason: { type: "disconnected", code: "connection-lost" } };
  // The first ones had room: they resolved when they were written (C-FLO-02).
  expect(settled.slice(0, 2).map(({ status }) => status)).toEqual(["fulfilled", "fulfilled"]);
  for (const one of settled.slice(4)) expect(one).toMatchObject(gone);
  await expect(client.write({ chunk })).rejects.toMatchObject({ type: "disconnected" });
  net.drain();
  expect(flow.bytesInFlight).toBe(0);
  expect(taken()).toEqual([0]);
  end();
});
