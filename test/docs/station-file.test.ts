import { readFileSync, writeFileSync } from "node:fs";
import { expect, test } from "vitest";
import { keysOf, type SchemaPart, stationKeysTables } from "./station-keys.ts";

const path = "docs/station-file.md";
const schema = JSON.parse(readFileSync("station.schema.json", "utf8")) as SchemaPart;
const mark = "<!-- keys: from station.schema.json -->";

test("the page on station files lists every key as the schema has it", () => {
  const [prose = "", listed = ""] = readFileSync(path, "utf8").split(mark);
  const tables = stationKeysTables(schema);
  const { BELLWETHER_WRITE_DOCS: isWriting } = process.env;
  if (isWriting === "1") writeFileSync(path, `${prose}${mark}\n\n${tables}\n`);
  else expect(unpadded(listed.trim())).toBe(unpadded(tables));
});

/** The formatter pads the cells of a table and lengthens its rules; what a cell says is left as it is. */
const unpadded = (tables: string): string =>
  tables.replaceAll(/ +\|/g, " |").replaceAll(/-{3,}/g, "---");

test("the walk through the schema finds keys of lists, of variants and of drivers", () => {
  const paths = keysOf(schema).map((row) => row.path);
  for (const found of [
    "nodes.<name>.detectors.<name>.delayPs",
    "nodes.<name>.devices.<name>.settings(s-fifteen/tdc1).threshold",
    "links.<name>.clock.driftMaxPpb",
    "mock.source.visibilityZ",
    "mock.receivers.<name>.detectors[].jitterPsFwhm",
  ]) {
    expect(paths).toContain(found);
  }
});
