import { readdirSync } from "node:fs";
import { createServer } from "node:net";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import {
  cleanUpPrograms,
  failureOf,
  leavesNothing,
  type Program,
  type RunEvent,
  scratchFolder,
  start,
} from "./program.ts";
import { freePort, overTcp, stationFile } from "./station-files.ts";

const facts = ({ keyId, fingerprint, bits }: RunEvent): string => `${keyId} ${fingerprint} ${bits}`;

describe("Alice and Bob as two programs over TCP, with the mock lab as a third", () => {
  const folder = scratchFolder();
  let path: string;
  let mocks: Program;
  let alice: Program;
  let bob: Program;

  const run = (node: string, ...more: string[]): Program =>
    start("run", path, "--node", node, "--mocks", folder, "--no-page", "--json", ...more);
  const keysOfBoth = (): [string[], string[]] => [
    alice.all("key").map(facts),
    bob.all("key").map(facts),
  ];

  beforeAll(async () => {
    path = stationFile(overTcp(await freePort()), ["blockBits: 50000", "blockBits: 25000"]);
    mocks = start("mocks", "serve", path, "--folder", folder, "--json");
    await mocks.saw("serving");
  });
  afterAll(cleanUpPrograms);

  test("print the same keys", async () => {
    alice = run("alice", "--peer-timeout", "60s");
    bob = run("bob");
    await bob.saw("key");
    const [key] = bob.all("key");
    expect(facts(await alice.saw("key"))).toBe(key && facts(key));
  }, 60_000);

  test("Alice says that Bob is gone when he is killed, and goes on alone", async () => {
    bob.kill("SIGKILL");
    const down = await alice.saw("link-down");
    expect(down).toMatchObject({
      link: "alice-bob",
      reason: expect.stringMatching(/connection/),
    });
    await leavesNothing(bob);
    expect(alice.ending).toBeNull();
    // Without its node, Bob's tagger was made safe, and the source, Alice's, stays on: its own node is well.
    expect(alice.all("stopped")).toEqual([]);
  }, 60_000);

  test("the link comes up again, as another, when Bob does, and makes other keys", async () => {
    const [first] = alice.all("link-up");
    const known = new Set(alice.all("key").map(({ keyId }) => keyId));
    bob = run("bob");
    const isNew = ({ incarnation }: RunEvent): boolean => incarnation !== first?.incarnation;
    const second = await bob.saw("link-up");
    expect(isNew(second)).toBe(true);
    expect((await alice.saw("link-up", isNew)).incarnation).toBe(second.incarnation);
    const key = await bob.saw("key");
    expect(known.has(key.keyId)).toBe(false);
    await alice.saw("key", ({ keyId }) => keyId === key.keyId);
    const [ofAlice, ofBob] = keysOfBoth();
    for (const each of ofBob.slice(0, 1)) expect(ofAlice).toContain(each);
  }, 60_000);

  test("stop one after the other, and leave nothing", async () => {
    for (const program of [bob, alice, mocks]) {
      program.kill("SIGINT");
      expect(await program.ended()).toEqual({ exitCode: 130, signal: null });
      await leavesNothing(program);
    }
  }, 60_000);
});

describe("Alice alone", () => {
  const folder = scratchFolder();
  let mocks: Program;
  let path: string;
  let port: number;

  beforeAll(async () => {
    port = await freePort();
    path = stationFile(overTcp(port));
    mocks = start("mocks", "serve", path, "--folder", folder, "--json");
    await mocks.saw("serving");
  });
  afterAll(cleanUpPrograms);

  const runAlone = async (station = path): Promise<Program> => {
    const arguments_ = ["run", station, "--node", "alice", "--mocks", folder, "--no-page"];
    const program = start(...arguments_, "--json", "--peer-timeout", "2s");
    expect(await program.ended()).toEqual({ exitCode: 1, signal: null });
    await leavesNothing(program);
    expect(failureOf(program).split("\n")).toHaveLength(1);
    return program;
  };

  test("ends with one sentence when Bob never comes", async () => {
    expect(failureOf(await runAlone())).toMatch(
      /^bellwether: bob has not answered alice for 2 s: .*; check that the other node runs/,
    );
  }, 60_000);

  test("ends with one sentence when what listens there is mute", async () => {
    const mute = createServer().listen(port, "127.0.0.1");
    try {
      expect(failureOf(await runAlone())).toMatch(
        /^bellwether: bob has not answered alice for 2 s/,
      );
    } finally {
      mute.close();
    }
  }, 60_000);

  test("ends with one sentence when Bob is of another link", async () => {
    const other = stationFile(overTcp(port), [/alice-bob:/, "alice-to-bob:"]);
    const bob = start("run", other, "--node", "bob", "--mocks", folder, "--no-page", "--json");
    await bob.saw("opened");
    expect(failureOf(await runAlone())).toMatch(/link/);
    bob.kill("SIGINT");
    await bob.ended();
    await leavesNothing(bob);
  }, 60_000);

  test("a second lab in the same folder is refused, and says who serves there", async () => {
    const second = start("mocks", "serve", path, "--folder", folder);
    expect((await second.ended()).exitCode).toBe(1);
    expect(failureOf(second)).toContain(`process ${mocks.pid} serves a mock lab in ${folder}`);
    await leavesNothing(second);
  });

  test("ends with one sentence when no lab is served where it was told", async () => {
    const program = start("run", path, "--node", "alice", "--mocks", `${folder}/none`, "--json");
    expect((await program.ended()).exitCode).toBe(1);
    expect(failureOf(program)).toMatch(/no mock lab is served in .*bellwether mocks serve/);
    await leavesNothing(program);
  });

  test("and the lab goes on meanwhile, and ends by Ctrl-C", async () => {
    expect(mocks.ending).toBeNull();
    mocks.killGroup("SIGINT");
    expect((await mocks.ended()).exitCode).toBe(130);
    await leavesNothing(mocks);
    expect(readdirSync(folder)).toEqual([]);
  });
});
