// @ts-check
// The report as a Markdown table.

/** @param {{ date: string, node: string, cores: number, commit: string, rounds: number, seconds: number, results: any[] }} report */
export function table(report) {
  const lines = [
    `${report.date}, Node ${report.node}, ${report.cores} cores, commit ${report.commit}; medians of ${report.rounds} interleaved rounds of ${report.seconds} s.`,
    "",
    "| Row | Capstan | CPU a unit, client / server | Beside, with the same | Ratio | Least | Aim | |",
    "|---|---|---|---|---|---|---|---|",
  ];
  for (const r of report.results) {
    const cpu = cpuOf(r.clientCpu, r.serverCpu);
    const peerCpu = cpuOf(r.peerClientCpu, r.peerServerCpu);
    const beside = `${r.peer} ${amount(r.peerFigure)}${peerCpu === "" ? "" : `, ${peerCpu}`}`;
    lines.push(
      `| ${r.row} | ${amount(r.capstan)} ${r.unit} | ${cpu} | ${beside} | ${r.ratio.toFixed(2)} | ${r.under ? "at most " : ""}${mark(r.least)} | ${r.aim ?? ""} | ${verdict(r)} |`,
    );
  }
  return lines.join("\n");
}

/** @param {number | undefined} client @param {number | undefined} server microseconds */
function cpuOf(client, server) {
  if (client === undefined || server === undefined) return "";
  return `${client.toFixed(2)} / ${server.toFixed(2)} us`;
}

/** @param {number | undefined} least */
function mark(least) {
  return least === undefined ? "" : String(Number(least.toFixed(2)));
}

/** @param {any} r */
function verdict(r) {
  const reached = (/** @type {number} */ mark) => (r.under ? r.ratio <= mark : r.ratio >= mark);
  if (r.aim !== undefined && reached(r.aim)) return "aim reached";
  if (r.least === undefined) return "";
  return reached(r.least) ? "reached" : "**short**";
}

/** @param {number} value */
function amount(value) {
  return value >= 1000 ? Math.round(value).toLocaleString("en-US") : value.toPrecision(3);
}
