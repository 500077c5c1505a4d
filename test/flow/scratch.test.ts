import { it } from "vitest";
import { StreamLab, fits, queueBound } from "../support/streams.js";
const MB = 1000;
function cell(
  roundTrip: number,
  mbs: number,
  n: number,
  opts: { stagger?: number; secs?: number; rounds?: number } = {},
) {
  const path = { roundTrip, bandwidth: mbs * MB };
  const lab = new StreamLab(path);
  const chunk = Math.min(64 * 1024 * 1024, Math.max(1024, Math.round(fits(path) / 32 / n)));
  const streams = Array.from({ length: n }, () => lab.open(chunk));
  const round = Math.max(roundTrip, (n * 65536) / path.bandwidth);
  for (const s of streams) {
    s.producer.start();
    lab.net.advance((opts.stagger ?? 0) * round);
  }
  lab.net.advance(round * 60);
  lab.net.load("v0", "v1");
  const before = streams.map((s) => s.consumer.received);
  const t0 = lab.net.now;
  const T = opts.secs ? opts.secs * 1000 : round * (opts.rounds ?? 60);
  lab.net.advance(T);
  const got = streams.map((s, i) => s.consumer.received - before[i]!);
  const total = got.reduce((a, b) => a + b, 0);
  const q = lab.net.load("v0", "v1").mostQueued;
  const util = total / (lab.net.now - t0) / path.bandwidth;
  const fair = Math.max(...got) / (total / n),
    unf = Math.min(...got) / (total / n);
  const w = streams.map((s) => (s.producer.window.bytes / fits(path)).toFixed(2)).join(" ");
  lab.end();
  return `rtt ${roundTrip} mbs ${mbs} n ${n} chunk ${chunk} util ${util.toFixed(3)} q/bound ${(q / queueBound(path, n)).toFixed(2)} fair ${unf.toFixed(2)}..${fair.toFixed(2)} w/fits ${w}`;
}
it("matrix", () => {
  const out: string[] = [];
  let t = Date.now();
  const row = (...a: Parameters<typeof cell>) => {
    out.push(cell(...a) + ` ${Date.now() - t} ms ${JSON.stringify(a[3] ?? {})}`);
    t = Date.now();
  };
  for (const rt of [0.1, 1, 10, 50, 100, 300])
    for (const mbs of [1, 10, 100, 1000]) row(rt, mbs, 1);
  for (const rt of [0.1, 1, 10, 50, 100, 300])
    for (const mbs of [1, 10, 100, 1000]) row(rt, mbs, 4);
  for (const [rt, mbs] of [
    [10, 100],
    [100, 10],
    [300, 1000],
    [1, 1000],
  ] as const) {
    row(rt, mbs, 4, { stagger: 20 });
    row(rt, mbs, 4, { stagger: 20, rounds: 300 });
  }
  for (const [rt, mbs] of [
    [100, 10],
    [50, 100],
  ] as const)
    row(rt, mbs, 4, { secs: 60 });
  for (const [rt, mbs] of [
    [100, 10],
    [50, 100],
  ] as const)
    row(rt, mbs, 1, { secs: 60 });
  console.log(out.join("\n"));
}, 200000);
