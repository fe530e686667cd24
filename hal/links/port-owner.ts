import { readFileSync, statSync } from "node:fs";

/**
 * Names the process that holds the advisory lock of a device file, or null where the system does not
 * tell. Linux lists them in /proc/locks: `1: FLOCK ADVISORY WRITE <pid> <major>:<minor>:<inode> 0 EOF`
 * (proc_locks(5)).
 */
export function findPortOwner(
  path: string,
): { readonly pid: number; readonly name: string } | null {
  try {
    const { ino } = statSync(path);
    for (const line of readFileSync("/proc/locks", "latin1").split("\n")) {
      const [, kind, , , pid, place] = line.trim().split(/\s+/);
      if (kind !== "FLOCK" || place?.split(":")[2] !== String(ino)) continue;
      if (!Number(pid)) continue;
      const name = readFileSync(`/proc/${pid}/comm`, "utf8").trim();
      return { pid: Number(pid), name };
    }
  } catch {
    // Another system, or a process that has just ended: the refusal goes without a name.
  }
  return null;
}
