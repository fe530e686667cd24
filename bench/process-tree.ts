/** Processor time of a process and its descendants, by what they do, from /proc (Linux; proc(5)). */
import { readdirSync, readFileSync } from "node:fs";

/** Parts of a running station, told apart by the script that a process runs. */
export type ProcessClass = "node" | "port-host" | "instrument" | "physics" | "other";

const scripts: readonly (readonly [string, ProcessClass])[] = [
  ["mocks/physics/physics-process.js", "physics"],
  ["mocks/instrument-process.js", "instrument"],
  ["hal/ports/port-host.js", "port-host"],
  ["cli/main.js", "node"],
];

/** Gives the class of a command line. */
export const classOf = (commandLine: string): ProcessClass =>
  scripts.find(([script]) => commandLine.includes(script))?.[1] ?? "other";

/** Jiffies a second that Linux shows to programs (USER_HZ), the same on every architecture that Node runs on. */
const jiffiesPerS = 100;

interface ProcessStat {
  readonly parent: number;
  readonly cpuS: number;
}

/** Parses /proc/PID/stat: the name in brackets may hold anything, so fields are counted from the last bracket. */
export function parseStat(stat: string): ProcessStat {
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  const number = (field: number): number => Number(fields[field - 3]);
  return { parent: number(4), cpuS: (number(14) + number(15)) / jiffiesPerS };
}

/** Processor seconds used so far, by class; processes that have ended are left out. */
export function cpuSecondsOf(root: number): Map<ProcessClass, number> {
  const stats = new Map<number, ProcessStat>();
  for (const name of readdirSync("/proc")) {
    const stat = /^\d+$/.test(name) ? readIfThere(`/proc/${name}/stat`) : null;
    if (stat !== null) stats.set(Number(name), parseStat(stat));
  }
  const isDescendant = (pid: number): boolean => {
    for (let at = pid; at > 1; at = stats.get(at)?.parent ?? 0) if (at === root) return true;
    return false;
  };
  const seconds = new Map<ProcessClass, number>();
  for (const [pid, { cpuS }] of stats) {
    if (!isDescendant(pid)) continue;
    const commandLine = readIfThere(`/proc/${pid}/cmdline`) ?? "";
    const name = classOf(commandLine);
    seconds.set(name, (seconds.get(name) ?? 0) + cpuS);
  }
  return seconds;
}

/** A process may end between being listed and being read. */
function readIfThere(path: string): string | null {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return null;
  }
}
