/** The built command line as a child process of a test: what it says, how it ends, and what it leaves behind. */
import { type ChildProcess, spawn } from "node:child_process";
import { randomUUID } from "node:crypto";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { Estimate } from "../../cli/live-state.ts";
import type { RunSummary } from "../../cli/run/live-station.ts";
import { sleep, systemClock } from "../../hal/clock.ts";
import { entryPointUrl } from "../../hal/entry-point.ts";

/** A line of `--json`: what the scenarios look at, each field in the events that have it. */
export interface RunEvent {
  readonly event: string;
  readonly seconds?: number;
  readonly url?: string;
  readonly node?: string;
  readonly device?: string;
  readonly link?: string;
  readonly code?: string;
  readonly cause?: string;
  readonly isDark?: boolean;
  readonly reason?: string;
  readonly ratesHz?: Readonly<Record<string, Estimate>>;
  readonly keyId?: string;
  readonly fingerprint?: string;
  readonly bits?: number;
  readonly incarnation?: string;
  readonly offsetPs?: string;
  readonly driftPpb?: number;
  readonly driftUncertaintyPpb?: number;
  readonly coincidenceRateHz?: Estimate;
  readonly accidentalRateHz?: Estimate;
  readonly nodes?: RunSummary["nodes"];
  readonly links?: RunSummary["links"];
  readonly lostTags?: number | null;
}

/** How a program ended. */
export interface Ending {
  readonly exitCode: number | null;
  readonly signal: NodeJS.Signals | null;
}

/** Waits are this long on a machine that does nothing else; tests allow for one that does. */
const patienceMs = 25_000;

/** Waits until `look` gives something. @throws when it does not for 25 s, saying what was waited for. */
export async function until<T>(
  what: string,
  look: () => T | undefined | false,
  timeoutMs = patienceMs,
): Promise<T> {
  const endMs = systemClock.monotonicMs() + timeoutMs;
  for (;;) {
    const found = look();
    if (found !== undefined && found !== false) return found;
    if (systemClock.monotonicMs() > endMs) throw new Error(`waited in vain for ${what}`);
    await sleep(systemClock, 20);
  }
}

const scratchFolders: string[] = [];
const removeScratch = (): void => {
  for (const folder of scratchFolders) rmSync(folder, { recursive: true, force: true });
};

/** A folder that is removed with the test's process. */
export function scratchFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), "bellwether-scenario-"));
  if (scratchFolders.length === 0) process.once("exit", removeScratch);
  scratchFolders.push(folder);
  return folder;
}

const marker = "BELLWETHER_SCENARIO";
const scratchVariable = "TMPDIR";
const running = new Set<Program>();

/** One run of `bellwether`, in a process group of its own. */
export class Program {
  readonly #child: ChildProcess;
  readonly #mark = randomUUID();
  readonly #ended: Promise<Ending>;
  /** What the program and its children may leave files in; it must be empty afterwards. */
  readonly #scratch = join(scratchFolder(), "tmp");
  output = "";
  errors = "";
  ending: Ending | null = null;

  constructor(commandArguments: readonly string[]) {
    mkdirSync(this.#scratch);
    this.#child = spawn(
      process.execPath,
      [fileURLToPath(entryPointUrl("#cli/main")), ...commandArguments],
      {
        stdio: ["ignore", "pipe", "pipe"],
        detached: true,
        env: { ...process.env, [marker]: this.#mark, [scratchVariable]: this.#scratch },
      },
    );
    this.#child.stdout?.setEncoding("utf8").on("data", (text: string) => {
      this.output += text;
    });
    this.#child.stderr?.setEncoding("utf8").on("data", (text: string) => {
      this.errors += text;
    });
    running.add(this);
    this.#ended = new Promise((resolve) => {
      this.#child.once("close", (exitCode, signal) => {
        this.ending = { exitCode, signal };
        resolve(this.ending);
      });
    });
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  /** The lines of `--json` so far. */
  get events(): RunEvent[] {
    return this.output
      .slice(0, this.output.lastIndexOf("\n") + 1)
      .split("\n")
      .filter((line) => line !== "")
      .map((line) => JSON.parse(line) as RunEvent);
  }

  /** Events of one kind. */
  all(event: string): RunEvent[] {
    return this.events.filter((each) => each.event === event);
  }

  /** Waits for an event that `isMeant` accepts. */
  async saw(event: string, isMeant: (event: RunEvent) => boolean = () => true): Promise<RunEvent> {
    return await until(`${event}; there came\n${this.output}\n${this.errors}`, () => {
      const found = this.all(event).find(isMeant);
      if (found === undefined && this.ending !== null) {
        throw new Error(`it ended without ${event}:\n${this.output}\n${this.errors}`);
      }
      return found;
    });
  }

  /** To the process alone. */
  kill(signal: NodeJS.Signals): void {
    process.kill(this.pid, signal);
  }

  /** To its group, as a terminal's Ctrl-C does. */
  killGroup(signal: NodeJS.Signals): void {
    process.kill(-this.pid, signal);
  }

  ended(): Promise<Ending> {
    return this.#ended;
  }

  /** Command lines of the processes that it started, and theirs, that live: by their environment, whoever their parent is by now. */
  get alive(): { readonly pid: number; readonly command: string }[] {
    return readdirSync("/proc")
      .filter((entry) => /^\d+$/.test(entry))
      .flatMap((entry) => {
        try {
          const isOurs = readFileSync(`/proc/${entry}/environ`, "latin1").includes(this.#mark);
          const command = readFileSync(`/proc/${entry}/cmdline`, "latin1").split("\0").join(" ");
          return isOurs && command !== "" ? [{ pid: Number(entry), command }] : [];
        } catch {
          return [];
        }
      });
  }

  /** A process that it started, by a part of its command line. */
  child(part: string): number {
    const found = this.alive.find(({ command }) => command.includes(part));
    if (found === undefined) throw new Error(`no ${part} among ${JSON.stringify(this.alive)}`);
    return found.pid;
  }

  /** Files that it left. */
  get leftFiles(): string[] {
    return readdirSync(this.#scratch);
  }

  /** Ends what still lives of it. */
  cleanUp(): void {
    running.delete(this);
    for (const { pid } of this.alive) {
      try {
        process.kill(pid, "SIGKILL");
      } catch {
        // It has just ended by itself.
      }
    }
  }
}

/** Starts `bellwether` with these arguments. */
export const start = (...commandArguments: readonly string[]): Program =>
  new Program(commandArguments);

/** Ends all programs that a test left; call it after each test. */
export function cleanUpPrograms(): void {
  for (const program of running) program.cleanUp();
}

/** Waits until neither a process nor a file of the program is left. */
export async function leavesNothing(program: Program): Promise<void> {
  const left = (): string => JSON.stringify([program.alive, program.leftFiles]);
  await until("the last process and file", () => left() === "[[],[]]", 10_000).catch(() => {
    throw new Error(`left behind: ${left()}`);
  });
}

/** Sentences on standard error, without warnings. */
export const failureOf = (program: Program): string =>
  program.errors
    .split("\n")
    .filter((line) => line.startsWith("bellwether: "))
    .join("\n");
