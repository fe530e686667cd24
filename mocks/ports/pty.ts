/**
 * A serial port without hardware: the master end of a pseudo-terminal, its slave in raw mode, so that
 * the host's real serial code runs over the kernel's real tty. Node.js cannot open one by itself; the C
 * library can, through koffi. POSIX.1-2017 `posix_openpt`, `grantpt`, `unlockpt`; `ptsname_r` and
 * `cfmakeraw` are common to Linux and macOS.
 */
import {
  closeSync,
  constants,
  lstatSync,
  openSync,
  symlinkSync,
  unlinkSync,
  writeSync,
} from "node:fs";
import { ReadStream } from "node:tty";
import koffi from "koffi";
import { Subject } from "rxjs";
import { LabError, messageOf } from "../../hal/errors.ts";
import type { MockPort } from "./mock-port.ts";

/** F_GETFL and F_SETFL of <fcntl.h>, POLLOUT of <poll.h>: the same numbers on Linux and macOS. */
const getFlags = 3;
const setFlags = 4;
const pollOut = 4;
/**
 * Keeps the master out of child processes: a copy there would keep the line up after an unplug. Linux takes O_CLOEXEC with
 * posix_openpt; macOS does not and is told by F_SETFD right after, before the loop can start a child.
 */
const setDescriptorFlags = 2;
const closeOnExec = 1;
const openCloseOnExec = process.platform === "linux" ? 0o2_000_000 : 0;
/** Longer than the longest `struct termios` in use (72 bytes, macOS). */
const termiosBytes = 128;
/** Longer than any slave's path. */
const pathBytesMax = 128;
/** Bounds how long a closed master lives on, because a waiting `poll` keeps it from hanging up. */
const pollTimeoutMs = 20;

interface PtyCalls {
  posixOpenpt(flags: number): number;
  grantpt(fd: number): number;
  unlockpt(fd: number): number;
  ptsname(fd: number, path: Uint8Array, bytesMax: number): number;
  fcntl(fd: number, command: number, type: "int", argument: number): number;
  tcgetattr(fd: number, termios: Uint8Array): number;
  tcsetattr(fd: number, actions: number, termios: Uint8Array): number;
  cfmakeraw(termios: Uint8Array): void;
  pollAsync(fds: Uint8Array, timeoutMs: number, done: () => void): void;
}

function loadPtyCalls(): PtyCalls {
  // null is the running image: node already links the C library.
  const libc = koffi.load(null);
  const poll = libc.func("int poll(_Inout_ uint8_t *fds, unsigned long count, int timeoutMs)");
  return {
    posixOpenpt: libc.func("int posix_openpt(int)"),
    grantpt: libc.func("int grantpt(int)"),
    unlockpt: libc.func("int unlockpt(int)"),
    ptsname: libc.func("int ptsname_r(int, _Out_ uint8_t *path, size_t)"),
    fcntl: libc.func("int fcntl(int, int, ...)"),
    tcgetattr: libc.func("int tcgetattr(int, _Out_ uint8_t *)"),
    tcsetattr: libc.func("int tcsetattr(int, int, _In_ uint8_t *)"),
    cfmakeraw: libc.func("void cfmakeraw(_Inout_ uint8_t *)"),
    pollAsync: (fds, timeoutMs, done) => poll.async(fds, 1, timeoutMs, done),
  };
}

/** Tells whether this system has pseudo-terminals; Windows has none that a serial port could open. */
export const hasPty = (): boolean => process.platform === "linux" || process.platform === "darwin";

function requireZero(result: number, call: string): void {
  if (result !== 0) {
    throw new LabError("mock.no-pty", `the system refused a pseudo-terminal (${call} failed)`);
  }
}

function openRawSlave(calls: PtyCalls, path: string): number {
  const slave = openSync(path, constants.O_RDWR | constants.O_NOCTTY);
  try {
    const termios = new Uint8Array(termiosBytes);
    requireZero(calls.tcgetattr(slave, termios), "tcgetattr");
    calls.cfmakeraw(termios);
    requireZero(calls.tcsetattr(slave, 0, termios), "tcsetattr");
    return slave;
  } catch (error) {
    closeSync(slave);
    throw error;
  }
}

/** Opens a master and its slave in raw mode; the caller owns both descriptors. */
function openPair(calls: PtyCalls): { readonly master: number; slave: number; path: string } {
  const master = calls.posixOpenpt(constants.O_RDWR | constants.O_NOCTTY | openCloseOnExec);
  if (master < 0) requireZero(master, "posix_openpt");
  try {
    requireZero(calls.fcntl(master, setDescriptorFlags, "int", closeOnExec), "fcntl");
    requireZero(calls.grantpt(master), "grantpt");
    requireZero(calls.unlockpt(master), "unlockpt");
    const name = Buffer.alloc(pathBytesMax);
    requireZero(calls.ptsname(master, name, pathBytesMax), "ptsname_r");
    const path = name.toString("latin1", 0, name.indexOf(0));
    const flags = calls.fcntl(master, getFlags, "int", 0);
    requireZero(calls.fcntl(master, setFlags, "int", flags | constants.O_NONBLOCK), "fcntl");
    return { master, slave: openRawSlave(calls, path), path };
  } catch (error) {
    closeSync(master);
    throw error;
  }
}

function removeLink(linkPath: string): void {
  try {
    if (lstatSync(linkPath).isSymbolicLink()) unlinkSync(linkPath);
  } catch {
    // It is not there, which is what was wanted.
  }
}

function makeLink(path: string, linkPath: string): void {
  removeLink(linkPath);
  try {
    symlinkSync(path, linkPath);
  } catch (cause) {
    throw linkRefused(linkPath, cause);
  }
}

const linkRefused = (linkPath: string, cause: unknown): LabError =>
  new LabError(
    "mock.link-refused",
    `cannot make the port link ${linkPath}: ${messageOf(cause)}; remove what is there or name another path`,
    { cause },
  );

/**
 * Opens a pseudo-terminal whose slave is a raw serial port. `linkPath` names a symbolic link that leads
 * to it as long as it is open: a path that stays the same from run to run.
 * @throws LabError `mock.no-pty` where the system has none, `mock.link-refused`.
 */
export function openPty(options: { readonly linkPath?: string } = {}): MockPort {
  if (!hasPty()) {
    throw new LabError(
      "mock.no-pty",
      `${process.platform} has no pseudo-terminals; write "at: tcp" for this mock instrument`,
    );
  }
  const calls = loadPtyCalls();
  // One slave descriptor stays open here: without it the master reads EIO between two hosts.
  const { master, slave, path } = openPair(calls);
  const { linkPath } = options;
  if (linkPath !== undefined) {
    try {
      makeLink(path, linkPath);
    } catch (error) {
      closeSync(slave);
      closeSync(master);
      throw error;
    }
  }
  return connectPty({ calls, master, slave, path: linkPath ?? path, linkPath });
}

function connectPty(pty: {
  readonly calls: PtyCalls;
  readonly master: number;
  readonly slave: number;
  readonly path: string;
  readonly linkPath: string | undefined;
}): MockPort {
  const received$ = new Subject<Uint8Array>();
  const writable$ = new Subject<void>();
  // libuv reads a master like any descriptor; its tty writes would block, so writes go past it.
  const reader = new ReadStream(pty.master);
  let isOpen = true;
  let isWaiting = false;

  const unplug = (): void => {
    if (!isOpen) return;
    isOpen = false;
    if (pty.linkPath !== undefined) removeLink(pty.linkPath);
    closeSync(pty.slave);
    reader.destroy();
    received$.complete();
    writable$.complete();
  };
  const waitUntilWritable = (): void => {
    if (isWaiting || !isOpen) return;
    isWaiting = true;
    const fds = Buffer.alloc(8);
    fds.writeInt32LE(pty.master, 0);
    fds.writeInt16LE(pollOut, 4);
    pty.calls.pollAsync(fds, pollTimeoutMs, () => {
      isWaiting = false;
      if (!isOpen) return;
      if (fds.readInt16LE(6) !== 0) writable$.next();
      else waitUntilWritable();
    });
  };
  reader.on("data", (bytes: Buffer) => received$.next(bytes));
  reader.on("error", unplug);

  return {
    url: `serial:${pty.path}`,
    received$,
    writable$,
    write: (bytes) => {
      if (!isOpen || isWaiting || bytes.length === 0) return 0;
      const taken = writeNow(pty.master, bytes);
      if (taken < bytes.length) waitUntilWritable();
      return taken;
    },
    unplug,
    close: unplug,
  };
}

/** Writes what fits into the kernel's buffer; 0 when it is full. */
function writeNow(fd: number, bytes: Uint8Array): number {
  try {
    return writeSync(fd, bytes, 0, bytes.length);
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "EAGAIN") return 0;
    throw error;
  }
}
