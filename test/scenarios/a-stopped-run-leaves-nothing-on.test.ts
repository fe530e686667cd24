import { existsSync } from "node:fs";
import { afterEach, describe, expect, test } from "vitest";
import { cleanUpPrograms, leavesNothing, type Program, start, until } from "./program.ts";
import { dim, stationFile } from "./station-files.ts";

/** Waits until the processes that ran are gone, whoever is their parent by now. */
const areGone = async (pids: readonly number[]): Promise<void> => {
  await until("the end of all processes", () => pids.every((pid) => !existsSync(`/proc/${pid}`)));
};

describe("a lit station leaves no process and no light", () => {
  afterEach(cleanUpPrograms);

  const light = async (): Promise<{ program: Program; pids: readonly number[] }> => {
    const program = start("run", stationFile(dim), "--no-page", "--json");
    await program.saw("source-on");
    const pids = program.alive.map(({ pid }) => pid);
    // The program, physics, three mock instruments and two port hosts.
    expect(pids.length).toBeGreaterThanOrEqual(7);
    return { program, pids };
  };

  test("when it is interrupted: the light goes off before the taggers stop", async () => {
    const { program, pids } = await light();
    program.kill("SIGINT");
    expect(await program.ended()).toEqual({ exitCode: 130, signal: null });
    await areGone(pids);
    const kinds = program.events.map(({ event }) => event);
    expect(kinds.filter((kind) => kind === "source-off")).toHaveLength(1);
    expect(kinds.indexOf("source-off")).toBeGreaterThan(kinds.indexOf("source-on"));
    expect(kinds.slice(-2)).toEqual(["stopped", "summary"]);
    // Links go down with the nodes that hold the taggers: after the light.
    expect(kinds.indexOf("source-off")).toBeLessThan(kinds.lastIndexOf("link-down"));
    expect(program.errors).toBe("");
    await leavesNothing(program);
  }, 60_000);

  test("when it is killed", async () => {
    const { program, pids } = await light();
    program.kill("SIGKILL");
    expect(await program.ended()).toEqual({ exitCode: null, signal: "SIGKILL" });
    await areGone(pids);
    await leavesNothing(program);
  }, 60_000);
});
