/** Writes a gzipped tar archive in memory: POSIX.1-1988 ustar headers of 512 bytes, files padded to 512, two blocks of zeros. */
import { gzipSync } from "node:zlib";

/** A file of the archive; its name is at most 100 ASCII characters. */
export interface ArchiveFile {
  readonly name: string;
  readonly bytes: Uint8Array;
}

const blockBytes = 512;

/** Gives the archive; `modifiedS` is UTC in seconds since 1970, for all files. */
export function createTarGz(files: readonly ArchiveFile[], modifiedS: number): Uint8Array {
  const blocks = files.flatMap((file) => [
    headerOf(file, modifiedS),
    file.bytes,
    new Uint8Array((blockBytes - (file.bytes.length % blockBytes)) % blockBytes),
  ]);
  return gzipSync(Buffer.concat([...blocks, new Uint8Array(2 * blockBytes)]));
}

/** Name 0, mode 100, uid 108, gid 116, size 124, mtime 136, checksum 148, type 156, magic 257, version 263. */
function headerOf({ name, bytes }: ArchiveFile, modifiedS: number): Uint8Array {
  if (!/^[\x20-\x7e]{1,100}$/.test(name))
    throw new RangeError(`"${name}" is no name for a tar file`);
  const header = Buffer.alloc(blockBytes);
  const octal = (value: number, digits: number): string =>
    `${Math.floor(value).toString(8).padStart(digits, "0")}\0`;
  header.write(name, 0, "ascii");
  header.write(octal(0o644, 7), 100, "ascii");
  header.write(octal(0, 7), 108, "ascii");
  header.write(octal(0, 7), 116, "ascii");
  header.write(octal(bytes.length, 11), 124, "ascii");
  header.write(octal(modifiedS, 11), 136, "ascii");
  header.write("        ", 148, "ascii");
  header.write("0", 156, "ascii");
  header.write("ustar\u000000", 257, "ascii");
  const sum = header.reduce((total, byte) => total + byte, 0);
  header.write(`${sum.toString(8).padStart(6, "0")}\0 `, 148, "ascii");
  return header;
}
