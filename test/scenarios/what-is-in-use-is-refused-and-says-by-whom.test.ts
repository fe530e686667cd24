import { createServer } from "node:net";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import {
  cleanUpPrograms,
  failureOf,
  leavesNothing,
  type Program,
  scratchFolder,
  start,
} from "./program.ts";
import { dim, freePort, overTcp, stationFile } from "./station-files.ts";

describe("a run is refused", () => {
  const folder = scratchFolder();
  let mocks: Program;

  beforeAll(async () => {
    const path = stationFile(dim);
    mocks = start("mocks", "serve", path, "--folder", folder, "--json");
    await mocks.saw("serving");
  });
  afterAll(cleanUpPrograms);

  /** Runs Bob, who has no source, on the served lab. */
  const runBob = async (...more: string[]): Promise<Program> =>
    start(
      ...["run", stationFile(dim, overTcp(await freePort())), "--node", "bob"],
      ...["--mocks", folder, "--json", ...more],
    );

  const refused = async (program: Program): Promise<string> => {
    expect(await program.ended()).toEqual({ exitCode: 1, signal: null });
    await leavesNothing(program);
    expect(program.errors).toBe(`${failureOf(program)}\n`);
    return failureOf(program);
  };

  test("when another program has the port, whose process it names", async () => {
    const owner = await runBob("--no-page");
    await owner.saw("opened");
    const said = await refused(await runBob("--no-page"));
    const [, pid] =
      /^bellwether: bob\/tagger: serial:\S+ is in use by \S+ \(process (\d+)\): end that first$/.exec(
        said,
      ) ?? [];
    expect(Number(pid)).toBe(owner.child("ports/port-host"));
    owner.kill("SIGINT");
    await owner.ended();
    await leavesNothing(owner);
  }, 60_000);

  test("when another program has the page's port", async () => {
    const port = await freePort();
    const other = createServer().listen(port, "127.0.0.1");
    try {
      expect(await refused(await runBob("--page-port", String(port)))).toMatch(
        new RegExp(`^bellwether: port ${port} is already in use`),
      );
    } finally {
      other.close();
    }
  }, 60_000);

  test("when it names a node that the station has not", async () => {
    const program = start("run", "--node", "carol");
    expect(await refused(program)).toMatch(/has no node carol; it has alice, bob$/);
  });

  test("when it is told nonsense, and says how to ask", async () => {
    for (const nonsense of [
      ["--page-port", "abc"],
      ["--duration", "-3s"],
      ["--duration", "3"],
    ]) {
      const program = start("run", ...nonsense);
      expect((await program.ended()).exitCode).toBe(2);
      expect(program.errors).toContain(`option '${nonsense[0]} `);
      expect(program.output).toBe("");
      await leavesNothing(program);
    }
  });
});
