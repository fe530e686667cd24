import { readdirSync, readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { driverManifests } from "../../../drivers/registry.ts";
import { openSettingsBook } from "../../../hal/station/snapshot.ts";
import { readStation } from "../../../hal/station/station-file.ts";
import { stationJsonSchema } from "../../../hal/station/station-json-schema.ts";
import { ps, psPerS } from "../../../hal/units.ts";
import { mockModels } from "../../../mocks/instruments/models.ts";
import { type LabSettings, labSettingsSchema } from "../../../mocks/physics/lab-settings.ts";
import { createVirtualClock } from "../../../mocks/virtual-clock.ts";

const context = { manifests: driverManifests, mockSchema: labSettingsSchema };
const files = readdirSync("stations").filter((name) => name.endsWith(".yaml"));

describe("the stations that come with the package", () => {
  test("there are some", () => expect(files).toContain("first-light.yaml"));

  test.each(files)("%s is right", async (file) => {
    const station = await readStation(`stations/${file}`, context);
    expect(`${station.name}.yaml`).toBe(file);
  });

  test("first light wires its detectors as its mock optics do", async () => {
    const station = await readStation("stations/first-light.yaml", context);
    const lab = station.mock as LabSettings;
    for (const [name, receiver] of Object.entries(lab.receivers)) {
      const node = station.nodes.get(name);
      const wired = [...(node?.detectors.values() ?? [])].map(({ input, basis, outcome }) => ({
        input,
        basis,
        outcome,
      }));
      expect(receiver.detectors).toMatchObject(wired);
      const ports = [...(node?.devices.values() ?? [])].map(({ port }) => port);
      expect(ports).toContain(`mock:${receiver.instrument}`);
    }
    for (const { model } of Object.values(lab.instruments)) expect(mockModels).toContain(model);
  });

  test("station.schema.json is what `node scripts/write-station-schema.mjs` writes", () => {
    const published = readFileSync("station.schema.json", "utf8");
    expect(published).toBe(`${JSON.stringify(stationJsonSchema(context), null, 2)}\n`);
  });
});

describe("a book of settings", () => {
  test("keeps each value with its time and origin", async () => {
    const station = await readStation("stations/first-light.yaml", context);
    const clock = createVirtualClock(ps(1_700_000_000n * psPerS));
    const book = openSettingsBook(station, clock);
    const current = "nodes.alice.devices.source.settings.currentMa";
    const opened = book.takeSnapshot();
    clock.advance(1500);
    book.record(current, 31.5, "operator");
    const later = book.takeSnapshot();
    const find = (snapshot: typeof opened, path: string) =>
      snapshot.settings.find((record) => record.path === path);
    const start = "2023-11-14T22:13:20.000Z";
    expect(find(opened, current)).toEqual({
      path: current,
      value: 30,
      at: start,
      origin: "station-file",
    });
    expect(find(opened, "nodes.alice.devices.tagger.settings.reference")).toMatchObject({
      value: "auto",
      origin: "default",
    });
    expect(find(opened, "nodes.alice.detectors.h")).toMatchObject({
      value: { channel: 0, delayPs: "0" },
    });
    expect(find(later, current)).toEqual({
      path: current,
      value: 31.5,
      at: "2023-11-14T22:13:21.500Z",
      origin: "operator",
    });
    expect(later.takenAt).toBe("2023-11-14T22:13:21.500Z");
    expect(JSON.parse(JSON.stringify(later))).toEqual(later);
    expect(later.settings.map(({ path }) => path)).toEqual(
      later.settings.map(({ path }) => path).toSorted(),
    );
  });
});
