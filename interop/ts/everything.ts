// Writes and compares the samples of `Everything` through the generated accessors.
// Both roles use it, so that each side's reader meets the other side's writer.

import { any, Int32, List, listOf, Message } from "capstan/typed";
import {
  Everything,
  type Everything_choice,
  extreme,
  type Node,
  ordinary,
  Point,
  Sample,
} from "./generated/interop.capnp.js";

/** Fields whose values need nothing but the right reading. */
const FIELDS = [
  "flag int8 int16 int32 int64 uint8 uint16 uint32 uint64 float32 float64 text data point",
  "color voids flags int8s int16s int32s int64s uint8s uint16s uint32s uint64s float32s",
  "float64s texts datas points colors matrix defaultFlag defaultInt defaultLong",
  "defaultFloat defaultColor defaultText defaultData defaultPoint defaultInts",
].flatMap((line) => line.split(" ")) as Exclude<keyof Everything, symbol>[];

function constantOf(sample: Sample): Everything {
  switch (sample) {
    case Sample.empty:
      return new Message().initRoot(Everything);
    case Sample.ordinary:
      return ordinary;
    case Sample.extreme:
      return extreme;
    default:
      throw new Error(`unknown sample ${sample}`);
  }
}

/** @param makeNode makes the node with this path that goes into a capability field. */
export function writeSample(
  to: Everything,
  sample: Sample,
  makeNode: (path: string) => Node.Server,
): void {
  if (sample === Sample.empty) return;
  to.set(constantOf(sample).toObject());
  to.object = makeNode("field");
  to.objects = [makeNode("0"), null, makeNode("2")];
  to.anyPointer = "any";
  to.anyStruct = any(Point, { x: 7 });
  to.anyList = any(listOf(Int32), [1, 2, 3]);
}

/** Whether two values read the same: NaN equals itself, and zeros differ by sign. */
function same(a: unknown, b: unknown): boolean {
  if (a instanceof Uint8Array && b instanceof Uint8Array)
    return a.length === b.length && a.every((byte, i) => byte === b[i]);
  if (a instanceof List && b instanceof List)
    return a.length === b.length && a.toArray().every((item, i) => same(item, b.get(i)));
  if (a instanceof Point && b instanceof Point)
    return a.x === b.x && a.y === b.y && a.label === b.label;
  return Object.is(a, b);
}

function sameChoice(a: Everything_choice, b: Everything_choice): boolean {
  if (a.which !== b.which) return false;
  switch (a.which) {
    case "none":
      return true;
    case "number":
      return a.number === b.number;
    case "words":
      return a.words === b.words;
    case "place":
      return a.place.row === b.place.row && a.place.column === b.place.column;
    case "spot":
      return same(a.spot, b.spot);
    default:
      return false;
  }
}

function demand(condition: boolean, name: string): void {
  if (!condition) throw new Error(`a field has another value than its sample: ${name}`);
}

/** The fields that a constant cannot hold. */
async function checkPointers(value: Everything): Promise<void> {
  demand(value.hasObject() && value.objects.length === 3, "object");
  demand(value.anyPointer.text === "any", "anyPointer");
  demand(value.anyStruct.as(Point).x === 7, "anyStruct");
  demand(same(value.anyList.as(listOf(Int32)).toArray().join(), "1,2,3"), "anyList");

  const checkPath = async (node: Node, path: string): Promise<void> => {
    demand((await node.path()).path === path, "path of an object");
  };
  const { objects } = value;
  const nobody = objects.get(1).path();
  await Promise.all([
    checkPath(value.object, "field"),
    checkPath(objects.get(0), "0"),
    checkPath(objects.get(2), "2"),
    nobody.then(
      () => demand(false, "a null capability answered"),
      () => {},
    ),
  ]);
}

/**
 * Resolves when the capabilities in `value`, which it calls, have answered with their paths.
 *
 * @throws Error with the name of the first field that differs.
 */
export async function checkSample(value: Everything, sample: Sample): Promise<void> {
  const expected = constantOf(sample);
  for (const name of FIELDS) demand(same(value[name], expected[name]), name);
  demand(value.location.latitude === expected.location.latitude, "location");
  demand(value.location.name === expected.location.name, "location");
  demand(sameChoice(value.choice, expected.choice), "choice");
  demand(value.boxed.first === expected.boxed.first, "boxed");
  demand(same(value.boxed.second, expected.boxed.second), "boxed");

  if (sample !== Sample.empty) return checkPointers(value);
  demand(!value.hasObject() && !value.hasObjects(), "object");
  demand(!value.hasAnyPointer() && !value.hasAnyStruct() && !value.hasAnyList(), "anyPointer");
}
