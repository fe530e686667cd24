import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { lastValueFrom, toArray } from "rxjs";
import { map } from "rxjs/operators";
import { afterAll } from "vitest";
import type { LossInterval } from "../../../hal/tags/loss-interval.ts";
import type { RecordingOptions } from "../../../hal/tags/recording-source.ts";
import { compileTagKernels } from "../../../hal/tags/tag-kernels.ts";
import { TagMemory } from "../../../hal/tags/tag-memory.ts";
import type { TagStream } from "../../../hal/tags/tag-stream.ts";

/** Folder of real recordings, or undefined where they are not. */
// biome-ignore lint/complexity/useLiteralKeys: an index signature is read by key.
export const recordings = process.env["BELLWETHER_DATA"];

/** A folder for the tests of one file, removed after them; gives the path of a file written there. */
export function createFolder(): {
  path: (name: string) => string;
  write: (name: string, bytes: Uint8Array | string) => string;
} {
  const folder = mkdtempSync(join(tmpdir(), "bellwether-test-"));
  afterAll(() => rmSync(folder, { recursive: true, force: true }));
  const path = (name: string): string => join(folder, name);
  return {
    path,
    write: (name, bytes) => {
      writeFileSync(path(name), bytes);
      return path(name);
    },
  };
}

/** Memory and kernels for reading recordings. */
export const createReading = (): RecordingOptions => ({
  memory: TagMemory.create({ slots: 64, scratchBytes: 2 ** 27 }),
  kernels: compileTagKernels(),
});

/** Everything a stream delivered, copied out of the blocks. */
export async function collect(stream: TagStream) {
  const blocks = await lastValueFrom(
    stream.blocks$.pipe(
      map((block) => ({
        ...{ fromPs: block.fromPs, toPs: block.toPs, segment: block.segment, count: block.count },
        ...{ times: [...block.times()], channels: [...block.channels()], losses: block.losses },
      })),
      toArray(),
    ),
  );
  const losses: LossInterval[] = blocks.flatMap((block) => [...block.losses]);
  return {
    blocks,
    losses,
    times: blocks.flatMap((block) => block.times),
    channels: blocks.flatMap((block) => block.channels),
  };
}
