// Streams of bytes to and from a Durable Object in workerd, by Cap'n Proto's ByteStream: its streams are ours, ours are its own.

import { deserialize } from "node:v8";
import {
  type LocalCall,
  LocalHook,
  memoryPair,
  nodeSession,
  RpcStub,
  RpcTarget,
  serve as serveObject,
  serveWritable,
  type Session,
  writableOf,
} from "capstan/node";
import { Client, serve } from "capstan/typed";
import {
  type CallParams,
  DebugPort,
  type External,
  ExternalPusher,
  type JsRpcTarget,
} from "./generated/debug-port.capnp.js";
import { expect } from "./support.js";

export type DebugPortObject = {
  readonly service: string;
  readonly entrypoint: string;
  readonly actorId: string;
};

/** V8's form of an Array of host objects, each a stream that takes one of the externals. */
const READABLE = 3;
const WRITABLE = 2;
const arrayOf = (...tags: number[]): Uint8Array => {
  const items = tags.flatMap((tag) => [0x5c, tag]);
  return Uint8Array.of(0xff, 15, 0x41, tags.length, ...items, 0x24, 0, tags.length);
};
const ONE_READABLE = Uint8Array.of(0xff, 15, 0x5c, READABLE);

/** A WritableStream of this process that keeps what it gets. */
function keeper(): { stream: WritableStream<Uint8Array>; bytes: number[]; closed: Promise<void> } {
  const bytes: number[] = [];
  let done!: () => void;
  let failed!: (reason: unknown) => void;
  const closed = new Promise<void>((resolve, reject) => {
    done = resolve;
    failed = reject;
  });
  const stream = new WritableStream<Uint8Array>({
    write: (chunk) => void bytes.push(...chunk),
    close: () => done(),
    abort: (reason) => failed(reason),
  });
  return { stream, bytes, closed };
}

const byteStream = (stream: WritableStream): Client => new Client(serveWritable(stream));

/** The same, and says which methods are called. */
function watched(stream: WritableStream, called: (methodId: number) => void): Client {
  const inner = serveWritable(stream) as LocalHook;
  const dispatch = (call: LocalCall): void => {
    called(call.methodId);
    inner.server.dispatch(call);
  };
  return new Client(new LocalHook({ dispatch, dropped: () => inner.release() }, inner.scheduler));
}

const GET_SUBSTREAM = 2;

class Giver extends RpcTarget {
  give(): ReadableStream<Uint8Array> {
    let left = 5;
    return new ReadableStream({
      type: "bytes",
      pull(controller) {
        if (left-- > 0) controller.enqueue(new Uint8Array(30_000).fill(left));
        else controller.close();
      },
    });
  }
}

/** Plays each scenario in an event of its own. @returns what was seen */
export async function playStreams(session: Session, object: DebugPortObject): Promise<string[]> {
  using debugPort = session.bootstrap(DebugPort);
  using actor = debugPort.getActor(object);
  const notes: string[] = [];
  for (const play of [readOurs, writeOurs, giveTheirs, pipeOurs, pipeAnothers]) {
    using event = actor.actor.startEvent();
    using rpc = event.dispatcher.jsRpcSession();
    using _held = rpc.session;
    notes.push(await play(rpc.topLevel));
  }
  return notes;
}

/** Bytes of ours are read there: a source that workerd makes goes into the arguments, its sink is written to. */
async function readOurs(target: JsRpcTarget): Promise<string> {
  using pushed = target.pushByteStream({ lengthPlusOne: 0n });
  using call = target.call(withArguments("size", arrayOf(READABLE), [readable(pushed.source)]));
  const writer = writableOf(pushed.sink._hook!.addRef()).getWriter();
  for (const size of [1, 1000, 200_000]) await writer.write(new Uint8Array(size).fill(1));
  await writer.close();
  using results = await call;
  expect(deserialize(results.result.v8Serialized), 201_001, "bytes that it read");
  return "a Worker reads a stream of ours";
}

/** It writes into a stream of ours. */
async function writeOurs(target: JsRpcTarget): Promise<string> {
  const { stream, bytes, closed } = keeper();
  using sink = byteStream(stream);
  using call = target.call(withArguments("fill", arrayOf(WRITABLE), [writable(sink)]));
  using _results = await call;
  await closed;
  expect(bytes.length, 3000, "bytes that it wrote");
  expect(`${bytes[0]} ${bytes[1500]} ${bytes[2999]}`, "1 2 3", "what they are");
  return "a Worker writes into a stream of ours";
}

/** A result is a stream: workerd asks us for a source and a sink, and writes. */
async function giveTheirs(target: JsRpcTarget): Promise<string> {
  const { stream, bytes, closed } = keeper();
  let asked = 0;
  using pusher = serve(ExternalPusher, {
    pushByteStream() {
      asked++;
      return { source: serve(ExternalPusher, {} as never), sink: byteStream(stream) };
    },
  });
  using call = target.call({
    ...withArguments("give", null, []),
    resultsStreamHandler: { externalPusher: pusher },
  });
  using results = await call;
  expect(hex(results.result.v8Serialized.subarray(0, 4)), hex(ONE_READABLE), "a stream");
  expect(asked, 1, "requests for a sink");
  await closed;
  expect(bytes.length, 200_000, "bytes that came");
  return "a stream that a Worker returns is read here";
}

/** It pipes a stream of ours into a stream of ours: workerd asks for a substream of the one, and hands it to the other. */
async function pipeOurs(target: JsRpcTarget): Promise<string> {
  const { stream, bytes, closed } = keeper();
  let substreams = 0;
  using sink = watched(stream, (methodId) => {
    if (methodId === GET_SUBSTREAM) substreams++;
  });
  using pushed = target.pushByteStream({ lengthPlusOne: 0n });
  const externals = [readable(pushed.source), writable(sink)];
  using call = target.call(withArguments("copy", arrayOf(READABLE, WRITABLE), externals));
  const writer = writableOf(pushed.sink._hook!.addRef()).getWriter();
  for (let i = 0; i < 20; i++) await writer.write(new Uint8Array(10_000).fill(i));
  await writer.close();
  using _results = await call;
  await closed;
  expect(bytes.length, 200_000, "bytes that came through");
  expect(bytes[199_999], 19, "the last of them");
  expect(substreams, 1, "requests for a substream");
  return "a Worker pipes a stream of ours into another, by a substream";
}

/** A stream of another peer's is piped into one of workerd's: by a substream of it, if it gives one. */
async function pipeAnothers(target: JsRpcTarget): Promise<string> {
  const [one, two] = memoryPair();
  await using host = nodeSession(one, { bootstrap: serveObject(new Giver()) });
  await using guest = nodeSession(two, {});
  using giver = guest.bootstrap(RpcStub<Giver>);
  using pushed = target.pushByteStream({ lengthPlusOne: 0n });
  using call = target.call(withArguments("size", arrayOf(READABLE), [readable(pushed.source)]));
  const stream = await giver.give();
  await stream.pipeTo(writableOf(pushed.sink._hook!.addRef()));
  using results = await call;
  expect(deserialize(results.result.v8Serialized), 150_000, "bytes that it read");
  void host;
  return "a stream of another peer's is piped into a Worker's";
}

const readable = (stream: Client): External.Init => ({ readableStream: { stream } });
const writable = (byteStream: Client): External.Init => ({ writableStream: { byteStream } });
const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex");

function withArguments(
  methodName: string,
  v8Serialized: Uint8Array | null,
  externals: External.Init[],
): CallParams.Init {
  const callWithArgs = v8Serialized === null ? null : { v8Serialized, externals };
  return { methodName, operation: { callWithArgs } };
}
