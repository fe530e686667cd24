import type { Observable } from "rxjs";
import { sleep } from "../../../hal/clock.ts";
import type { DeviceIdentity, DeviceState } from "../../../hal/device.ts";
import { createDeviceState, type DeviceStateKeeper } from "../../../hal/device-state.ts";
import { LabError, messageOf } from "../../../hal/errors.ts";
import type { ByteLink } from "../../../hal/links/byte-link.ts";
import { createLineClient, type LineClient } from "../../../hal/links/line-client.ts";
import type { DriverContext } from "../../../hal/manifest.ts";
import type { PairSource } from "../../../hal/roles/pair-source.ts";
import { familyMarker, isDecimal, parseIdentity } from "../dialect.ts";
import { identifyBoard } from "../identify.ts";
import type { SpdcSettings } from "./manifest.ts";
import {
  currentMaMax,
  currentQuery,
  parseStatus,
  railsQuery,
  rampMa,
  rampStepMs,
  safeSteps,
  setAndReadCurrent,
  setAndReadLimit,
  spdcFamily,
  statusQuery,
  switchOffAndReadStatus,
  switchOnAndReadStatus,
} from "./protocol.ts";

const leaseMsMin = 100;
const leaseMsMax = 600_000;
/** Half a unit of the last digit on the wire. */
const currentToleranceMa = 0.0006;

interface OpenBoard {
  readonly link: ByteLink;
  readonly client: LineClient;
  readonly state: DeviceStateKeeper;
  readonly identityLine: string;
  readonly ask: (text: string) => Promise<string>;
}

/** Asks for a number; a line before it is the board's refusal of the command in the same write. */
function createAsk(client: LineClient, name: string, timeoutMs: number): OpenBoard["ask"] {
  return async (text) => {
    const { reply, remarks } = await client.query(text, { isReply: isDecimal, timeoutMs });
    if (remarks.length === 0) return reply.trim();
    throw new LabError(
      "device.refused",
      `${name} refused ${text.trim()}: it said "${remarks.join(" / ")}"`,
      { details: { device: name, command: text.trim(), remarks } },
    );
  };
}

async function openBoard(context: DriverContext, settings: SpdcSettings): Promise<OpenBoard> {
  const { name, port, clock, logger } = context;
  const link = await port.attach();
  const marker = familyMarker(spdcFamily);
  const client = createLineClient(link, { marker, clock, logger });
  const board = { name, url: port.url, family: spdcFamily };
  const identityLine = await identifyBoard(client, board);
  const ask = createAsk(client, name, settings.replyTimeoutMs);
  return { link, client, state: createDeviceState(clock), identityLine, ask };
}

/** A source board that was identified. */
class Spdc implements PairSource {
  readonly role = "pair-source";
  readonly driver = "s-fifteen/spdc";
  readonly name: string;
  readonly identity: DeviceIdentity;
  readonly #context: DriverContext;
  readonly #board: OpenBoard;
  readonly #limitMa: number;
  #rails = 0;
  #leaseMs = 0;
  #lease: Disposable | undefined;
  #ramp: AbortController | undefined;
  /** Commands that switch light run one after the other. */
  #turn: Promise<unknown> = Promise.resolve();
  #closing: Promise<void> | undefined;

  constructor(context: DriverContext, board: OpenBoard) {
    this.#context = context;
    this.#board = board;
    const { currentMaMax: stationMaMax = currentMaMax } = context.limits;
    this.#limitMa = Math.min(stationMaMax, currentMaMax);
    this.name = context.name;
    this.identity = parseIdentity(board.identityLine, "SPDC source");
    void board.link.closed.then((reason) => {
      this.#endLease();
      if (reason !== undefined) board.state.fail("disconnected", reason);
    });
  }

  get state$(): Observable<DeviceState> {
    return this.#board.state.state$;
  }

  /** Makes the board dark, whatever it was doing, and has it hold the station's limit itself. */
  async prepare(): Promise<void> {
    const { ask } = this.#board;
    const { port } = this.#context;
    // A crashed host may have left it on: from here on the port host can switch it off, ramped once the current is known.
    await port.setSafeState(safeSteps(0, null));
    this.#rails = Number(await ask(railsQuery));
    await port.setSafeState(safeSteps(Number(await ask(currentQuery)), this.#rails));
    await this.#darken();
    const limitMa = Number(await ask(setAndReadLimit(this.#limitMa)));
    this.#requireCurrent("limit", limitMa, this.#limitMa);
    this.#board.state.set("ready");
  }

  async arm(options: { readonly currentMa: number; readonly leaseMs: number }): Promise<void> {
    const { currentMa, leaseMs } = options;
    this.#assertAllowed(currentMa, leaseMs);
    await this.#takeTurn(async () => {
      const ramp = new AbortController();
      this.#ramp = ramp;
      try {
        await this.#switchOn();
        this.#leaseMs = leaseMs;
        await this.#rampTo(currentMa, ramp.signal);
        this.#board.state.set("active");
        this.renewLease();
      } catch (error) {
        await this.#darken().catch((failure: unknown) => this.#noteUnsafe(failure));
        throw error;
      } finally {
        this.#ramp = undefined;
      }
    });
  }

  renewLease(): void {
    this.#lease?.[Symbol.dispose]();
    if (this.#leaseMs === 0) return;
    this.#lease = this.#context.clock.after(this.#leaseMs, () => {
      this.#context.logger.warn({ leaseMs: this.#leaseMs }, "the lease ended; the source goes off");
      this.disarm().catch((error: unknown) => this.#noteUnsafe(error));
    });
  }

  async disarm(): Promise<void> {
    this.#endLease();
    this.#ramp?.abort(
      new LabError("device.disarmed", `${this.name} was disarmed while it was being armed`),
    );
    await this.#takeTurn(() => this.#darken());
    this.#board.state.set("ready");
  }

  async measureOutput(): Promise<{ readonly currentMa: number; readonly isOn: boolean }> {
    const currentMa = Number(await this.#board.ask(currentQuery));
    const { isSwitchedOn } = parseStatus(await this.#board.ask(statusQuery));
    return { currentMa, isOn: isSwitchedOn };
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    const { client, state } = this.#board;
    // The port host switches off as well; what fails here is tried again there, and reported from there.
    await this.disarm().catch((error: unknown) =>
      this.#context.logger.info(
        { reason: messageOf(error) },
        "switching off was left to the port host",
      ),
    );
    client.dispose();
    try {
      await this.#context.port.close();
    } finally {
      state.close();
    }
  }

  #assertAllowed(currentMa: number, leaseMs: number): void {
    if (!(currentMa >= 0 && currentMa <= this.#limitMa)) {
      throw new LabError(
        "device.limit",
        `${this.name}: ${currentMa} mA is beyond its limit of ${this.#limitMa} mA`,
        { details: { device: this.name, currentMa, limitMa: this.#limitMa } },
      );
    }
    if (!(leaseMs >= leaseMsMin && leaseMs <= leaseMsMax)) {
      throw new RangeError(`a lease is from ${leaseMsMin} to ${leaseMsMax} ms, not ${leaseMs}`);
    }
  }

  #takeTurn<Value>(run: () => Promise<Value>): Promise<Value> {
    const result = this.#turn.then(run);
    this.#turn = result.catch(() => {});
    return result;
  }

  /** Rail and switch on at 0 mA; a board that is on already stays as it is. */
  async #switchOn(): Promise<void> {
    const { ask } = this.#board;
    const status = parseStatus(await ask(statusQuery));
    if (status.isSwitchedOn && status.isPowered) return;
    await this.#context.port.setSafeState(safeSteps(0, this.#rails));
    this.#requireCurrent("current", Number(await ask(setAndReadCurrent(0))), 0);
    const { isSwitchedOn, isPowered } = parseStatus(await ask(switchOnAndReadStatus(this.#rails)));
    if (isSwitchedOn && isPowered) return;
    throw new LabError("device.refused", `${this.name} did not switch on: check its interlock`, {
      details: { device: this.name, isSwitchedOn, isPowered },
    });
  }

  /** The host knows the way down from each step before it is taken: should this process die, the current only falls. */
  async #rampTo(currentMa: number, signal: AbortSignal): Promise<void> {
    const { ask } = this.#board;
    for (const stepMa of rampMa(Number(await ask(currentQuery)), currentMa)) {
      signal.throwIfAborted();
      await this.#context.port.setSafeState(safeSteps(stepMa, this.#rails));
      this.#requireCurrent("current", Number(await ask(setAndReadCurrent(stepMa))), stepMa);
      await sleep(this.#context.clock, rampStepMs, signal);
    }
  }

  /** Ramps down, switches off, and reads back that it is so. */
  async #darken(): Promise<void> {
    const { ask } = this.#board;
    const { clock, port } = this.#context;
    for (const stepMa of rampMa(Number(await ask(currentQuery)), 0)) {
      this.#requireCurrent("current", Number(await ask(setAndReadCurrent(stepMa))), stepMa);
      await sleep(clock, rampStepMs);
    }
    const status = parseStatus(await ask(switchOffAndReadStatus(this.#rails)));
    const currentMa = Number(await ask(currentQuery));
    if (status.isSwitchedOn || currentMa > currentToleranceMa) {
      throw new LabError(
        "device.not-made-safe",
        `${this.name} still reads ${currentMa} mA, switch ${status.isSwitchedOn ? "on" : "off"}, after it was switched off; switch it off by hand`,
        { details: { device: this.name, currentMa, ...status } },
      );
    }
    await port.setSafeState(safeSteps(0, this.#rails));
  }

  #requireCurrent(what: "current" | "limit", readMa: number, setMa: number): void {
    if (Math.abs(readMa - setMa) <= currentToleranceMa) return;
    throw new LabError(
      "device.refused",
      `${this.name}: its ${what} reads ${readMa} mA after it was set to ${setMa} mA`,
      { details: { device: this.name, readMa, setMa } },
    );
  }

  #endLease(): void {
    this.#leaseMs = 0;
    this.#lease?.[Symbol.dispose]();
    this.#lease = undefined;
  }

  #noteUnsafe(error: unknown): void {
    this.#endLease();
    const reason =
      error instanceof LabError
        ? error
        : new LabError("device.not-made-safe", `${this.name}: ${messageOf(error)}`, {
            cause: error,
          });
    this.#context.logger.error({ reason: reason.message }, "the source may still be on");
    this.#board.state.fail("faulted", reason);
  }
}

/**
 * Opens a source board: asks who it is, makes it dark, sets its own limit to the station's.
 * @throws LabError `device.wrong-kind`, `device.no-answer`, `device.refused`, `device.not-made-safe`, `link.*`.
 */
export async function openSpdc(
  context: DriverContext,
  settings: SpdcSettings,
): Promise<PairSource> {
  const source = new Spdc(context, await openBoard(context, settings));
  await source.prepare();
  return source;
}
