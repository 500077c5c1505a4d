import { it } from "vitest";
import v8 from "node:v8";
import { Workerd } from "./kit.js";
const ser = (value: unknown) => { const s = new v8.Serializer(); s.writeHeader(); s.writeValue(value); return new Uint8Array(s.releaseBuffer()); };
const show = (b: Uint8Array) => Buffer.from(b).toString("hex") + "  " + Buffer.from(b).toString("latin1").replace(/[^ -~]/g, ".");
it("probe", async () => {
  const w = await Workerd.start();
  for (const service of ["main", "older"]) {
    const o = w.open(service);
    for (const name of ["stub","stubs","shared","readable","writable","signal","aborted","headers","request","requestBody","requestAll","response","responseBody","responseManual","blob","file","url","error","named","aggregate","domException","resizable","shared_memory","float16","nullPrototype","instance","promise","fetcher"]) {
      try {
        const r = await o.call("make", { bytes: ser([name]), externals: [] });
        console.log(service, name, show(r.bytes), JSON.stringify(r.externals.map((e) => [e.tag, e.cap !== null])));
        r.externals.forEach((e) => e.cap?.release());
      } catch (e) { console.log(service, name, "FAILED", (e as Error).message); }
    }
    o.close();
  }
  console.log(await w.close());
}, 60000);
