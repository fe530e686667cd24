import { Subject } from "rxjs";
import { describe, expect, test } from "vitest";
import { spdcManifest } from "../../../drivers/s-fifteen/spdc/manifest.ts";
import type { Clock } from "../../../hal/clock.ts";
import { systemClock } from "../../../hal/clock.ts";
import { LabError } from "../../../hal/errors.ts";
import type { ByteLink } from "../../../hal/links/byte-link.ts";
import { silentLogger } from "../../../hal/log.ts";
import { openDevice } from "../../../hal/open-device.ts";
import type { HostedPort, PortClient } from "../../../hal/ports/port-client.ts";
import type { SafeStep } from "../../../hal/ports/port-messages.ts";
import type { PairSource } from "../../../hal/roles/pair-source.ts";
import { TagMemory } from "../../../hal/tags/tag-memory.ts";
import { Spdc } from "../../../mocks/instruments/s-fifteen/spdc.ts";

/** Waits pass at once, after everything that is due now: replies come before timeouts. */
const hastyClock: Clock = {
  ...systemClock,
  after: (_delayMs, run) => {
    const handle = setImmediate(run);
    return { [Symbol.dispose]: () => clearImmediate(handle) };
  },
};
const tagMemory = TagMemory.create({ slots: 4, tagsPerBlock: 16, scratchBytes: 1_024 });

interface Table {
  readonly board: Spdc;
  readonly said: string[];
  readonly currents: number[];
  readonly portClient: PortClient;
  isClosed: boolean;
}

/** A board on the table whose link fails, or falls silent, at one write; the port host's part is played here. */
function setTable(
  options: { failAt?: number; silentAt?: number; lateAt?: number; isLitBefore?: boolean } = {},
): Table {
  const board = new Spdc({ serialNumber: "SPDCSDR-0007" });
  if (options.isLitBefore) board.receive(Buffer.from("POWER 3;ON;LCURRENT 2.000;"));
  const received = new Subject<Uint8Array>();
  let safeSteps: readonly SafeStep[] = [];
  let writes = 0;
  let late = Buffer.alloc(0);
  const table: Table = {
    board,
    said: [],
    currents: [],
    portClient: {} as PortClient,
    isClosed: false,
  };
  const receive = (bytes: Uint8Array): void => {
    board.receive(bytes);
    table.currents.push(board.pumpCurrentMa);
  };
  const link: ByteLink = {
    ...{ url: "serial:/dev/board", received$: received, closed: new Promise(() => {}) },
    close: async () => {},
    send: (bytes) => {
      const index = writes++;
      if (index === options.failAt) {
        return Promise.reject(new LabError("link.timeout", "the board hangs"));
      }
      table.said.push(Buffer.from(bytes).toString());
      receive(bytes);
      const reply = board.peek();
      board.take(reply.length);
      const words = Buffer.concat([late, reply]);
      late = index === options.lateAt ? words : Buffer.alloc(0);
      if (![options.silentAt, options.lateAt].includes(index) && words.length > 0) {
        queueMicrotask(() => received.next(words));
      }
      return Promise.resolve();
    },
  };
  const port: HostedPort = {
    ...{ url: link.url, closed: new Promise(() => {}), attach: async () => link },
    attachment: { url: link.url, address: "", token: "" },
    setSafeState: (steps) => {
      safeSteps = steps;
      return Promise.resolve();
    },
    close: () => {
      for (const { bytes } of table.isClosed ? [] : safeSteps) receive(bytes);
      table.isClosed = true;
      return Promise.resolve();
    },
  };
  const portClient: PortClient = {
    ...{ pid: 0, closed: new Promise(() => {}), close: async () => {}, open: async () => port },
  };
  return Object.assign(table, { portClient });
}

const open = async ({ portClient }: Table): Promise<PairSource> =>
  (await openDevice({
    ...{ name: "source", manifest: spdcManifest, url: "serial:/dev/board", portClient, tagMemory },
    ...{ clock: hastyClock, logger: silentLogger, limits: { currentMaMax: 5 } },
  })) as PairSource;

const biggestStepMa = (currents: readonly number[]): number =>
  Math.max(
    ...currents.map((current, index) => Math.abs(current - (currents[index - 1] ?? current))),
  );

describe("an SPDC board that fails", () => {
  test("says and hears exactly this when all is well", async () => {
    const table = setTable();
    const source = await open(table);
    const openingWrites = table.said.length;
    expect(table.said).toEqual([
      ...["\r\n", "*IDN?\r\n", "\r\nABORT\r\n", "*IDN?\r\n", "POWER?\r\n"],
      ...["LCURRENT?\r\n", "LCURRENT?\r\n"],
      ...["OFF;POWER 0;STATUS?\r\n", "LCURRENT?\r\n", "LLIMIT 5.000;LLIMIT?\r\n"],
    ]);
    await source.arm({ currentMa: 1.5, leaseMs: 600_000 });
    expect(table.said.slice(openingWrites)).toEqual([
      ...["STATUS?\r\n", "LCURRENT 0.000;LCURRENT?\r\n", "POWER 2;ON;STATUS?\r\n", "LCURRENT?\r\n"],
      ...["LCURRENT 1.000;LCURRENT?\r\n", "LCURRENT 1.500;LCURRENT?\r\n"],
    ]);
    await source.close();
    expect(table.board.pumpCurrentMa).toBe(0);
    expect(table.board.peek()).toHaveLength(0);
  });

  test.each(["failAt", "silentAt"] as const)(
    "leaves the port closed and the light off when opening fails at any write (%s)",
    async (fault) => {
      let isOpened = false;
      for (let step = 0; !isOpened && step < 40; step++) {
        const table = setTable({ [fault]: step, isLitBefore: true });
        try {
          const source = await open(table);
          isOpened = table.said.length <= step;
          await source.close();
        } catch (error) {
          expect(error).toBeInstanceOf(LabError);
        }
        expect(table.isClosed).toBe(true);
        // Before the board said what it is, nobody may switch it.
        const isKnown = ["*IDN?\r\n", "\r\nABORT\r\n"].every((text) => table.said.includes(text));
        expect(table.board.pumpCurrentMa).toBe(isKnown ? 0 : 2);
      }
      expect(isOpened).toBe(true);
    },
  );

  test.each(["failAt", "silentAt"] as const)(
    "goes dark when arming fails at any write, and never jumps (%s)",
    async (fault) => {
      const well = setTable();
      await open(well);
      const opening = well.said.length;
      for (let step = opening; step < opening + 7; step++) {
        const table = setTable({ [fault]: step });
        const source = await open(table);
        const outcome = await source.arm({ currentMa: 3, leaseMs: 600_000 }).then(
          () => "armed",
          () => "failed",
        );
        await source.close();
        expect(outcome).toBe("failed");
        expect(table.board.pumpCurrentMa).toBe(0);
        expect(table.isClosed).toBe(true);
        expect(biggestStepMa(table.currents)).toBeLessThanOrEqual(1);
      }
    },
  );

  test("opens although its refusal of ABORT comes after it seemed quiet", async () => {
    const source = await open(setTable({ lateAt: 2 }));
    expect(source.identity.serialNumber).toBe("SPDCSDR-0007");
    await source.close();
  });

  test("is faulted and says so when it refuses what it is told", async () => {
    const table = setTable();
    const source = await open(table);
    // Somebody lowers the board's own limit beside us.
    table.board.receive(Buffer.from("LLIMIT 1.000;"));
    await expect(source.arm({ currentMa: 3, leaseMs: 1_000 })).rejects.toMatchObject({
      code: "device.refused",
      message: expect.stringContaining("Invalid argument"),
    });
    expect(table.board.pumpCurrentMa).toBe(0);
    await source.close();
  });
});
