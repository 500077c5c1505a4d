// The client role:  node client.js ADDRESS SCENARIO
//
// Connects, plays one scenario, prints one line of JSON, {"scenario", "ok", "notes" or "error"}, and exits 0 when all was as
// expected and 1 when not. Without arguments lists the scenarios.

import { connect } from "capstan/node";
import { Run, type Scenario } from "./scenario.js";
import { CALCULATOR_SCENARIOS } from "./scenarios-calculator.js";
import { ENDING_SCENARIOS } from "./scenarios-endings.js";
import { FLOW_SCENARIOS } from "./scenarios-flow.js";
import { OBJECT_SCENARIOS } from "./scenarios-objects.js";
import { REFLECTION_SCENARIOS } from "./scenarios-reflection.js";
import { SAVING_SCENARIOS } from "./scenarios-saving.js";
import { VALUE_SCENARIOS } from "./scenarios-values.js";
import { dieWithParent, mustBeEmpty } from "./support.js";

const SCENARIOS: Record<string, Scenario> = {
  ...VALUE_SCENARIOS,
  ...OBJECT_SCENARIOS,
  ...REFLECTION_SCENARIOS,
  ...ENDING_SCENARIOS,
  ...FLOW_SCENARIOS,
  ...CALCULATOR_SCENARIOS,
  ...SAVING_SCENARIOS,
};

async function play(address: string, scenario: Scenario): Promise<string[]> {
  // Between two of ours somebody has to begin with tail calls: by default each waits for the other.
  await using session = await connect(address, { tailCalls: "always" });
  const run = new Run(session, address);
  await scenario(run);
  if (session.error === null) await mustBeEmpty(session);
  if (run.tally.objects > 0) throw new Error(`${run.tally.objects} lent objects are not let go`);
  return run.notes;
}

async function main(address: string, name: string): Promise<void> {
  const scenario = SCENARIOS[name];
  if (scenario === undefined) throw new Error(`no scenario is called ${name}`);
  dieWithParent();
  try {
    const notes = await play(address, scenario);
    console.log(JSON.stringify({ scenario: name, ok: true, notes }));
  } catch (thrown) {
    const error = thrown instanceof Error ? (thrown.stack ?? thrown.message) : String(thrown);
    console.log(JSON.stringify({ scenario: name, ok: false, error }));
    process.exitCode = 1;
  }
}

const [address, name] = process.argv.slice(2);
if (address === undefined || name === undefined) {
  console.log(Object.keys(SCENARIOS).join("\n"));
  process.exitCode = 2;
} else await main(address, name);
