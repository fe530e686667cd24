/** The C++ peer: compiled for this machine when a compiler is there, then a child process that does laps on command. */
import { type ChildProcessByStdio, execFileSync, spawn } from "node:child_process";
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface, type Interface } from "node:readline";
import type { Readable, Writable } from "node:stream";
import { fileURLToPath } from "node:url";
import { LabError, messageOf } from "../../hal/errors.ts";
import type { Lap } from "../race.ts";

const compilers = ["c++", "g++", "clang++"];
const compilerFlags = ["-O3", "-march=native", "-std=c++20", "-w"];

/** The compiled peer as it runs. */
export class CppPeer implements Disposable {
  /** What was compiled with what. */
  readonly description: string;
  readonly #child: ChildProcessByStdio<Writable, Readable, null>;
  readonly #lines: AsyncIterator<string>;
  readonly #interface: Interface;
  readonly #folder: string;
  readonly #loaded = new Set<string>();

  private constructor(folder: string, description: string) {
    this.#folder = folder;
    this.description = description;
    this.#child = spawn(join(folder, "peer"), { stdio: ["pipe", "pipe", "inherit"] });
    this.#interface = createInterface({ input: this.#child.stdout });
    this.#lines = this.#interface[Symbol.asyncIterator]();
  }

  /**
   * Compiles the sources that stand beside this file in the source tree; null when no compiler is there.
   * @throws LabError `command.benchmark` when the compiler refuses them.
   */
  static start(sourceFolder: string): CppPeer | null {
    const compiler = compilers.find((name) => versionOf(name) !== null);
    if (compiler === undefined) return null;
    const folder = mkdtempSync(join(tmpdir(), "bellwether-bench-"));
    const sources = readdirSync(sourceFolder)
      .filter((name) => name.endsWith(".cpp"))
      .map((name) => join(sourceFolder, name));
    try {
      execFileSync(compiler, [...compilerFlags, "-o", join(folder, "peer"), ...sources]);
    } catch (error) {
      rmSync(folder, { recursive: true, force: true });
      throw compilationRefused(compiler, sourceFolder, error);
    }
    return new CppPeer(folder, `${versionOf(compiler)}, ${compilerFlags.slice(0, 2).join(" ")}`);
  }

  /** Gives the child a data set, once. */
  async load(
    name: string,
    data: Uint8Array | Uint32Array | BigInt64Array | Float64Array,
  ): Promise<void> {
    if (this.#loaded.has(name)) return;
    const path = join(this.#folder, "data");
    writeFileSync(path, new Uint8Array(data.buffer, data.byteOffset, data.byteLength));
    await this.#ask(`load ${name} ${path}`);
    rmSync(path);
    this.#loaded.add(name);
  }

  /** Lets the child do a piece of work once. */
  async lap(
    figure: string,
    ...figureArguments: readonly (string | number | bigint)[]
  ): Promise<Lap> {
    const answer = await this.#ask(`lap ${figure} ${figureArguments.join(" ")}`);
    const space = answer.indexOf(" ");
    return { elapsedMs: Number(answer.slice(0, space)) / 1e6, result: answer.slice(space + 1) };
  }

  async #ask(line: string): Promise<string> {
    this.#child.stdin.write(`${line}\n`);
    const next = await this.#lines.next();
    const answer = next.done === true ? "error it ended" : next.value;
    if (answer.startsWith("error ")) {
      throw new LabError("command.benchmark", `the C++ peer says "${answer}" at "${line}"`);
    }
    return answer;
  }

  [Symbol.dispose](): void {
    this.#child.stdin.end();
    this.#interface.close();
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

const compilationRefused = (compiler: string, sourceFolder: string, cause: unknown): LabError =>
  new LabError(
    "command.benchmark",
    `${compiler} cannot compile the peers in ${sourceFolder}: ${messageOf(cause)}`,
    { cause },
  );

function versionOf(compiler: string): string | null {
  try {
    const printed = execFileSync(compiler, ["--version"], { stdio: ["ignore", "pipe", "ignore"] });
    return printed.toString("utf8").split("\n")[0] ?? compiler;
  } catch {
    return null;
  }
}

/** Where the C++ sources are: they are compiled from the source tree, not from dist/. */
export const cppSourceFolder = (packageFolder: URL): string =>
  fileURLToPath(new URL("bench/peers/cpp", packageFolder));
