// @ts-check
// What is compared with what, and what it must reach. `least` is what the project promises, `aim` what it hopes for.

/**
 * @typedef {{ peer: string, least?: number, aim?: number }} Against
 * `subject` is Capstan's contender where that is not the typed layer.
 * @type {{ name: string, subject?: string, title: string, workload: string, figure: string, unit: string, oneCore: boolean, against: Against[] }[]}
 */
export const ROWS = [
  {
    name: "outstanding",
    title: "1000 calls outstanding",
    workload: "outstanding",
    figure: "perSecond",
    unit: "calls/s",
    oneCore: false,
    against: [
      { peer: "cxx", least: 4, aim: 6 },
      { peer: "capnp-ts", least: 12 },
    ],
  },
  {
    name: "sequential",
    title: "sequential calls, one core",
    workload: "sequential",
    figure: "perSecond",
    unit: "calls/s",
    oneCore: true,
    against: [{ peer: "raw", least: 0.6, aim: 0.75 }],
  },
  {
    name: "chain",
    title: "chain of four pipelined calls",
    workload: "chain",
    figure: "perSecond",
    unit: "chains/s",
    oneCore: true,
    against: [{ peer: "cxx", least: 2 }],
  },
  {
    name: "stream-64k",
    title: "stream of 64 KiB chunks",
    workload: "stream-64k",
    figure: "bytesPerSecond",
    unit: "bytes/s",
    oneCore: false,
    against: [{ peer: "raw", least: 0.8 }],
  },
  {
    name: "stream-64k-kept",
    title: "the same, by a receiver that may keep the chunks",
    workload: "stream-64k-kept",
    figure: "bytesPerSecond",
    unit: "bytes/s",
    oneCore: false,
    against: [{ peer: "raw" }],
  },
  {
    name: "stream-256",
    title: "stream of 256-byte chunks",
    workload: "stream-256",
    figure: "perSecond",
    unit: "chunks/s",
    oneCore: false,
    against: [{ peer: "cxx", least: 3, aim: 6 }],
  },
  {
    name: "js-sequential",
    title: "stubs without a schema, WebSocket: sequential calls, one core",
    subject: "capstan-js",
    workload: "sequential",
    figure: "perSecond",
    unit: "calls/s",
    oneCore: true,
    against: [{ peer: "capnweb", least: 1.5, aim: 1.9 }],
  },
  {
    name: "js-outstanding",
    title: "the same, 1000 calls outstanding",
    subject: "capstan-js",
    workload: "outstanding",
    figure: "perSecond",
    unit: "calls/s",
    oneCore: false,
    against: [{ peer: "capnweb", least: 6, aim: 12 }],
  },
  {
    name: "js-chain",
    title: "the same, chain of four pipelined calls, one core",
    subject: "capstan-js",
    workload: "chain",
    figure: "perSecond",
    unit: "chains/s",
    oneCore: true,
    against: [{ peer: "capnweb", least: 2.5 }],
  },
];
