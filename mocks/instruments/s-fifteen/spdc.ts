/**
 * The S-Fifteen SPDC source board (family token SPDCSDR) as its sheet describes it: pump laser current,
 * crystal oven and laser peltier, each with its own control loop. Pure: bytes and time come in by calls.
 *
 * Source: pyS15 `spdc_driver.py`, `serial_connection.py`, `docs/pyserial.md`. Error text, reply
 * decorations and what a reset does are unpublished; the choices here are marked so.
 */
import {
  type Command,
  CommandReader,
  encodeReply,
  parseDecimal,
  unknownCommandReply,
} from "./dialect.ts";
import { ThermalStage } from "./thermal-stage.ts";

/** Refusal of a value out of range: unpublished. */
const invalidArgumentReply = "Invalid argument";
/** Replies that wait for the host; a command beyond is not executed. */
const replyBytesMax = 16_384;

const thermalRail = 1;
const laserRail = 2;

interface Setting {
  value: number;
  readonly min: () => number;
  readonly max: () => number;
  /** Decimals in the reply; 0 for switches. */
  readonly decimals: number;
}

const fixed = (value: number, min: number, max: number, decimals = 3): Setting => ({
  value,
  min: () => min,
  max: () => max,
  decimals,
});

/** Everything that can be set, with the ranges of the factory firmware; start values are unpublished. */
function createSettings() {
  const heaterLimitV = fixed(10, 0, 10);
  const peltierLimitV = fixed(2.5, 0, 2.5);
  const laserLimitMa = fixed(97, 0, 97);
  const upTo = (limit: Setting, isBipolar: boolean): Setting => ({
    value: 0,
    min: () => (isBipolar ? -limit.value : 0),
    max: () => limit.value,
    decimals: 3,
  });
  return {
    power: fixed(0, 0, 3, 0),
    heaterLoop: fixed(0, 0, 1, 0),
    peltierLoop: fixed(0, 0, 1, 0),
    heaterLimitV,
    heaterV: upTo(heaterLimitV, false),
    heaterSetC: fixed(25, 20, 100),
    heaterRampKelvinPerS: fixed(0, 0, 1),
    heaterP: fixed(0.3, 0, 10),
    heaterI: fixed(0.005, 0, 10),
    heaterD: fixed(0, 0, 10),
    peltierLimitV,
    peltierV: upTo(peltierLimitV, true),
    peltierSetC: fixed(25, 20, 50),
    peltierP: fixed(0.1, 0, 10),
    peltierI: fixed(0.01, 0, 10),
    peltierD: fixed(0, 0, 10),
    laserLimitMa,
    laserCurrentMa: upTo(laserLimitMa, false),
  };
}

type Settings = ReturnType<typeof createSettings>;

const settingNames: ReadonlyMap<string, keyof Settings> = new Map([
  ["POWER", "power"],
  ["HLOOP", "heaterLoop"],
  ["HLIMIT", "heaterLimitV"],
  ["HVOLT", "heaterV"],
  ["HSETTEMP", "heaterSetC"],
  ["HRATE", "heaterRampKelvinPerS"],
  ["HCONSTP", "heaterP"],
  ["HCONSTI", "heaterI"],
  ["HCONSTD", "heaterD"],
  ["PLOOP", "peltierLoop"],
  ["PLIMIT", "peltierLimitV"],
  ["PVOLT", "peltierV"],
  ["PSETTEMP", "peltierSetC"],
  ["PCONSTP", "peltierP"],
  ["PCONSTI", "peltierI"],
  ["PCONSTD", "peltierD"],
  ["LLIMIT", "laserLimitMa"],
  ["LCURRENT", "laserCurrentMa"],
]);

/** One source board. */
export class Spdc {
  readonly #serialNumber: string;
  readonly #commands = new CommandReader();
  readonly #replies: number[] = [];
  readonly #heater = new ThermalStage({ kelvinPerVolt: 12, timeConstantS: 30 });
  readonly #peltier = new ThermalStage({ kelvinPerVolt: 15, timeConstantS: 5 });
  #settings: Settings = createSettings();
  #isLaserOn = false;

  constructor(options: { readonly serialNumber: string }) {
    this.#serialNumber = options.serialNumber;
  }

  /** Current through the pump diode in mA: 0 unless its rail and its switch are both on. */
  get pumpCurrentMa(): number {
    const { power, laserCurrentMa } = this.#settings;
    return this.#isLaserOn && (power.value & laserRail) !== 0 ? laserCurrentMa.value : 0;
  }

  /** Takes bytes from the host and executes the commands they complete. */
  receive(bytes: Uint8Array): void {
    this.#commands.push(bytes, (command) => {
      if (this.#replies.length < replyBytesMax) this.#execute(command);
    });
  }

  /** Lets the oven and the peltier go on for `seconds`. */
  advance(seconds: number): void {
    const settings = this.#settings;
    const isPowered = (settings.power.value & thermalRail) !== 0;
    settings.heaterV.value = this.#heater.advance(seconds, {
      isPowered,
      isRegulating: settings.heaterLoop.value === 1,
      volt: settings.heaterV.value,
      minV: settings.heaterV.min(),
      maxV: settings.heaterV.max(),
      setC: settings.heaterSetC.value,
      rampKelvinPerS: settings.heaterRampKelvinPerS.value,
      gains: { p: settings.heaterP.value, i: settings.heaterI.value, d: settings.heaterD.value },
    });
    settings.peltierV.value = this.#peltier.advance(seconds, {
      isPowered,
      isRegulating: settings.peltierLoop.value === 1,
      volt: settings.peltierV.value,
      minV: settings.peltierV.min(),
      maxV: settings.peltierV.max(),
      setC: settings.peltierSetC.value,
      rampKelvinPerS: 0,
      gains: { p: settings.peltierP.value, i: settings.peltierI.value, d: settings.peltierD.value },
    });
  }

  /** Reply bytes waiting for the host. */
  peek(): Uint8Array {
    return Uint8Array.from(this.#replies);
  }

  /** Removes bytes that the host took. */
  take(count: number): void {
    this.#replies.splice(0, count);
  }

  #execute(command: Command): void {
    const line = command.words.length === 0 ? this.#answer(command.name) : this.#change(command);
    if (line !== null) this.#replies.push(...encodeReply(line));
  }

  /** Takes a value; the refusal, or null when it is accepted in silence. */
  #change({ name, words }: Command): string | null {
    const key = settingNames.get(name);
    if (key === undefined) return unknownCommandReply;
    const isAccepted = words.length === 1 && this.#set(this.#settings[key], words[0]);
    return isAccepted ? null : invalidArgumentReply;
  }

  #set(setting: Setting, word: string | undefined): boolean {
    const value = parseDecimal(word);
    if (value === null || value < setting.min() || value > setting.max()) return false;
    if (setting.decimals === 0 && !Number.isInteger(value)) return false;
    setting.value = value;
    // A limit pulls down what exceeds it: unpublished, and the only safe reading.
    const { heaterV, peltierV, laserCurrentMa } = this.#settings;
    for (const limited of [heaterV, peltierV, laserCurrentMa]) {
      limited.value = Math.min(limited.max(), Math.max(limited.min(), limited.value));
    }
    return true;
  }

  /** Executes a command without a value; its reply, or null when it has none. */
  #answer(name: string): string | null {
    const key = name.endsWith("?") ? settingNames.get(name.slice(0, -1)) : undefined;
    if (key !== undefined) {
      const { value, decimals } = this.#settings[key];
      return value.toFixed(decimals);
    }
    switch (name) {
      case "*IDN?":
        return `S-Fifteen SPDCSDR, ${this.#serialNumber}`;
      case "STATUS?":
        return `${this.#status()}`;
      case "HTEMP?":
        return this.#heater.temperatureC.toFixed(3);
      case "HTARGET?":
        return this.#heater.targetC.toFixed(3);
      case "PTEMP?":
        return this.#peltier.temperatureC.toFixed(3);
      case "HELP":
        return `*IDN? *RST HELP SAVE ON OFF STATUS?\r\n${[...settingNames.keys()].join(" ")}`;
      case "SAVE":
        // The text of this line is unpublished.
        return "Saved";
      case "ON":
        this.#isLaserOn = true;
        return null;
      case "OFF":
        this.#isLaserOn = false;
        return null;
      case "*RST":
        this.#settings = createSettings();
        this.#isLaserOn = false;
        return null;
      default:
        return unknownCommandReply;
    }
  }

  /** Bit 0 heater loop, 1 peltier loop, 2 laser switch, 8 heater and peltier rail, 9 laser rail. */
  #status(): number {
    const { heaterLoop, peltierLoop, power } = this.#settings;
    return (
      heaterLoop.value | (peltierLoop.value << 1) | (this.#isLaserOn ? 4 : 0) | (power.value << 8)
    );
  }
}
