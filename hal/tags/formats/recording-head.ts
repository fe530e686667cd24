/** Opens a recording far enough to know what it is: by its content, never by its name. */
import { constants } from "node:fs";
import { type FileHandle, open } from "node:fs/promises";
import { messageOf } from "../../errors.ts";
import {
  isIntact,
  type NativeSettings,
  nativeHeadBytes,
  nativeMagic,
  parseNativeHead,
} from "./native-recording.ts";
import { ptuHeaderBytesMax, readPtuHead } from "./ptu-header.ts";
import { fileError, type RecordingFormat, type RecordingHead } from "./recording-format.ts";
import { detectWordFormat, readWordHead } from "./s-fifteen-recording.ts";

/** Known files that are no T2 recording: how they begin, and what to say. */
const otherBeginnings: readonly (readonly [string, string])[] = [
  [
    "PQHISTO",
    "is a PicoQuant histogram (PHU), no recording of single photons: open the PTU file of the measurement",
  ],
  [
    "PQRESLT",
    "is a PicoQuant result file, no recording of single photons: open the PTU file of the measurement",
  ],
  [
    "PicoHarp 300",
    "is a recording in PicoQuant's format before PTU: convert it with the maker's software",
  ],
  [
    "HydraHarp 400",
    "is a recording in PicoQuant's format before PTU: convert it with the maker's software",
  ],
  [
    "TimeHarp",
    "is a recording in PicoQuant's format before PTU: convert it with the maker's software",
  ],
  ["\x87\xb3\x91\xfa", "is a quTAG recording, which cannot be read yet"],
  ["\x89HDF", "is an HDF5 file, which cannot be read yet"],
  ["SITT", "is a Swabian .ttbin file: convert it with the maker's software"],
];

const isText = (bytes: Uint8Array): boolean =>
  bytes.every((byte) => (byte >= 0x20 && byte < 0x7f) || byte === 9 || byte === 10 || byte === 13);

async function readStart(handle: FileHandle, bytesMax: number): Promise<Uint8Array> {
  const bytes = new Uint8Array(bytesMax);
  const { bytesRead } = await handle.read(bytes, 0, bytesMax, 0);
  return bytes.subarray(0, bytesRead);
}

function detectFormat(path: string, bytes: Uint8Array): RecordingFormat {
  const start = Buffer.from(bytes.subarray(0, 16)).toString("latin1");
  if (start.startsWith("PQTTTR")) return "ptu-t2";
  if (bytes.length >= 4 && Buffer.from(bytes).readUInt32LE(0) === nativeMagic) return "bwt";
  const other = otherBeginnings.find(([beginning]) => start.startsWith(beginning));
  if (other !== undefined) throw fileError("file.unsupported-format", path, other[1]);
  if (isText(bytes.subarray(0, 4096))) {
    throw fileError(
      "file.not-a-recording",
      path,
      "is text, no recording: give a file that an instrument or `record` wrote",
    );
  }
  const format = detectWordFormat(bytes);
  if (format !== null) return format;
  throw fileError(
    "file.not-a-recording",
    path,
    "is in no known format (PTU T2, S-Fifteen .ts, TDC1 words, .bwt)",
  );
}

async function readNativeHead(path: string, handle: FileHandle): Promise<RecordingHead> {
  const headBytes = await readStart(handle, nativeHeadBytes);
  const head = parseNativeHead(headBytes);
  const payload = new Uint8Array(head?.payloadBytes ?? 0);
  if (head !== null) await handle.read(payload, 0, payload.length, nativeHeadBytes);
  if (head?.kind !== "settings" || !isIntact(headBytes, payload)) {
    throw fileError(
      "file.damaged",
      path,
      "is a native recording whose first block is damaged: its settings and times cannot be trusted",
    );
  }
  const settings = JSON.parse(Buffer.from(payload).toString("utf8")) as NativeSettings;
  return {
    ...{ format: "bwt", plan: null, channels: settings.channels },
    tickPs: {
      numerator: BigInt(settings.tickPs.numerator),
      denominator: BigInt(settings.tickPs.denominator),
    },
    startUtcPs: BigInt(settings.epochPs),
    startUncertaintyPs: BigInt(settings.anchor.uncertaintyPs),
    ...{ warnings: [], missingRecords: null, settings: { ...settings } },
  };
}

/** Opening a named pipe would wait for its writer; without blocking it opens, and is then refused. */
const readWithoutWaiting = constants.O_RDONLY | (constants.O_NONBLOCK ?? 0);

async function openFile(path: string): Promise<FileHandle> {
  try {
    return await open(path, readWithoutWaiting);
  } catch (error) {
    const isMissing = error instanceof Error && "code" in error && error.code === "ENOENT";
    throw isMissing
      ? fileError("file.missing", path, "does not exist: check the path")
      : fileError("file.unreadable", path, `cannot be opened: ${messageOf(error)}`);
  }
}

/**
 * Reads what a recording says of itself and finds its format by content, unless `format` is given.
 * @throws LabError `file.missing`, `file.not-a-file`, `file.empty`, `file.unreadable`, `file.not-a-recording`,
 * `file.unsupported-format`, `file.unsupported-records`, `file.damaged`.
 */
export async function readRecordingHead(
  path: string,
  format?: RecordingFormat,
): Promise<{ readonly head: RecordingHead; readonly fileBytes: number }> {
  const handle = await openFile(path);
  try {
    const stat = await handle.stat();
    if (!stat.isFile())
      throw fileError("file.not-a-file", path, "is a directory, a device or a pipe, no file");
    if (stat.size === 0) throw fileError("file.empty", path, "is empty");
    const bytes = await readStart(handle, Math.min(stat.size, ptuHeaderBytesMax));
    const found = format ?? detectFormat(path, bytes);
    if (found === "bwt") return { head: await readNativeHead(path, handle), fileBytes: stat.size };
    if (found === "ptu-t2")
      return { head: readPtuHead(path, bytes, stat.size), fileBytes: stat.size };
    return { head: readWordHead(found, stat.size), fileBytes: stat.size };
  } finally {
    await handle.close();
  }
}
