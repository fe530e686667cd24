import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { type ObservedLab, observeLab } from "./observed-lab.ts";
import { cleanUpPrograms, leavesNothing, type Program, start } from "./program.ts";
import { dim, dimCurrentMa, stationFile } from "./station-files.ts";

describe("a lit station", () => {
  const path = stationFile(dim);
  let lab: ObservedLab;

  beforeAll(async () => {
    lab = await observeLab(path);
  });
  afterEach(cleanUpPrograms);
  afterAll(() => lab[Symbol.asyncDispose]());

  const light = async (...more: string[]): Promise<Program> => {
    const program = start("run", path, "--mocks", lab.folder, "--json", ...more);
    await program.saw("source-on");
    expect(await lab.pumpCurrentMa()).toBe(dimCurrentMa);
    return program;
  };

  test("goes dark, and all its processes end, when the program is killed", async () => {
    const program = await light();
    program.kill("SIGKILL");
    await lab.isDark(10_000);
    await leavesNothing(program);
  });

  test("goes dark while the program is frozen, which then says why and ends", async () => {
    const program = await light();
    program.kill("SIGSTOP");
    // Two seconds without a heartbeat, then the ramp down.
    await lab.isDark(15_000);
    expect(program.ending).toBeNull();
    program.kill("SIGCONT");
    expect(await program.ended()).toEqual({ exitCode: 1, signal: null });
    expect(program.errors).toMatch(/no sign of life for 2000 ms/);
    await leavesNothing(program);
  });
});
