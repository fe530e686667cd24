import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { type ObservedLab, observeLab } from "./observed-lab.ts";
import { cleanUpPrograms, leavesNothing, type Program, start } from "./program.ts";
import { dim, dimCurrentMa, stationFile } from "./station-files.ts";

/** Where light ended and where taggers did, on the wires. */
function orderOf({ said }: ObservedLab): { readonly offAt: number; readonly stoppedAt: number } {
  const offAt = said.findIndex(
    ({ instrument, by, text }) => instrument === "source" && by === "host" && /\bOFF\b/.test(text),
  );
  const stoppedAt = said.findIndex(
    ({ instrument, by, text }) => instrument !== "source" && by === "host" && /ABORT/.test(text),
  );
  return { offAt, stoppedAt };
}

describe("stopping a lit station", () => {
  const path = stationFile(dim);
  let lab: ObservedLab;

  beforeAll(async () => {
    lab = await observeLab(path);
  });
  afterEach(cleanUpPrograms);
  afterAll(() => lab[Symbol.asyncDispose]());

  const light = async (): Promise<Program> => {
    const program = start("run", path, "--mocks", lab.folder, "--json");
    await program.saw("source-on");
    expect(await lab.pumpCurrentMa()).toBe(dimCurrentMa);
    lab.forget();
    return program;
  };

  const expectDarkFirst = async (program: Program): Promise<void> => {
    expect(await lab.pumpCurrentMa()).toBe(0);
    const { offAt, stoppedAt } = orderOf(lab);
    expect(offAt).toBeGreaterThanOrEqual(0);
    expect(stoppedAt).toBeGreaterThan(offAt);
    // It was read back, too, before the taggers were told to stop.
    expect(lab.said.slice(offAt, stoppedAt).some(({ by }) => by === "instrument")).toBe(true);
    await leavesNothing(program);
    await expect(fetch(String(program.all("page")[0]?.url))).rejects.toThrow();
  };

  test("by Ctrl-C in a terminal, which reaches every process of the group", async () => {
    const program = await light();
    program.killGroup("SIGINT");
    expect(await program.ended()).toEqual({ exitCode: 130, signal: null });
    expect(program.events.at(-1)?.event).toBe("summary");
    expect(program.errors).toBe("");
    await expectDarkFirst(program);
  });

  test("by SIGTERM to the program alone", async () => {
    const program = await light();
    program.kill("SIGTERM");
    expect(await program.ended()).toEqual({ exitCode: 130, signal: null });
    await expectDarkFirst(program);
  });

  test("by Ctrl-C twice, when the second does not wait: the port host switches off", async () => {
    const program = await light();
    program.killGroup("SIGINT");
    program.killGroup("SIGINT");
    expect((await program.ended()).exitCode).toBe(130);
    await lab.isDark(10_000);
    await leavesNothing(program);
  });

  test("by Ctrl-C before there is light: there never is", async () => {
    lab.forget();
    const program = start("run", path, "--mocks", lab.folder, "--json");
    await program.saw("page");
    program.killGroup("SIGINT");
    expect((await program.ended()).exitCode).toBe(130);
    expect(program.all("source-on")).toEqual([]);
    expect(lab.said.some(({ text }) => /\bON\b/.test(text))).toBe(false);
    await leavesNothing(program);
  });
});
