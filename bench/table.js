// @ts-check
// The report as a Markdown table.

/** @param {{ date: string, node: string, cores: number, commit: string, rounds: number, seconds: number, results: any[] }} report */
export function table(report) {
  const lines = [
    `${report.date}, Node ${report.node}, ${report.cores} cores, commit ${report.commit}; medians of ${report.rounds} interleaved rounds of ${report.seconds} s.`,
    "",
    "| Row | Capstan | CPU a unit, client / server | Beside | Ratio | Least | Aim | |",
    "|---|---|---|---|---|---|---|---|",
  ];
  for (const r of report.results) {
    const cpu =
      r.clientCpu === undefined ? "" : `${r.clientCpu.toFixed(2)} / ${r.serverCpu.toFixed(2)} us`;
    lines.push(
      `| ${r.row} | ${amount(r.capstan)} ${r.unit} | ${cpu} | ${r.peer} ${amount(r.peerFigure)} | ${r.ratio.toFixed(2)} | ${r.under ? "at most " : ""}${mark(r.least)} | ${r.aim ?? ""} | ${verdict(r)} |`,
    );
  }
  return lines.join("\n");
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
