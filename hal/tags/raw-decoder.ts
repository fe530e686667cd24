/** Raw byte streams of taggers, by name, and what turns each into blocks in the thread that receives them. */
import type { BlockWriter } from "./block-writer.ts";
import type { TagKernels } from "./tag-kernels.ts";
import type { TagBlockDescriptor } from "./tag-stream.ts";
import { Tdc1Decoder, tdc1ScratchBytes } from "./tdc1-decoder.ts";

/** Names of the byte streams that can be decoded. */
export type RawFormat = "s-fifteen-tdc1";

/** What a decoder works with. */
export interface RawDecoderContext {
  readonly kernels: TagKernels;
  readonly memory: WebAssembly.Memory;
  /** Scratch in that memory, `scratchBytesByFormat` long and zeroed. */
  readonly scratchAddress: number;
  readonly writer: BlockWriter;
  readonly emit: (block: TagBlockDescriptor) => void;
  /** How long the stream has run by the host's clock, in ps: no instrument's time goes faster than that for long. */
  readonly hostElapsedPs: () => bigint;
}

/** Turns bytes into blocks. Bytes may be cut anywhere. */
export interface RawDecoder {
  push(bytes: Uint8Array): void;
  /** Publishes the open block, also when it holds no tag: what was observed is told. */
  flush(): void;
  /** Publishes the last block and gives the writer's slots back. Nothing is pushed afterwards. */
  finish(): void;
  /** Time of the first record, ps from the stream's epoch; null before it. */
  readonly firstPs: bigint | null;
  /** Up to where the stream was observed: the end of the last record's tick; null before the first. */
  readonly observedPs: bigint | null;
  readonly tagsDecoded: number;
  /** How often the place in the byte stream was lost. */
  readonly desynchronisations: number;
  /** Bytes of an unfinished record. */
  readonly unfinishedBytes: number;
}

/** Scratch that each decoder needs, in bytes. */
export const scratchBytesByFormat: Readonly<Record<RawFormat, number>> = {
  "s-fifteen-tdc1": tdc1ScratchBytes,
};

/** Creates the decoder of a format. */
export function createRawDecoder(format: RawFormat, context: RawDecoderContext): RawDecoder {
  switch (format) {
    case "s-fifteen-tdc1":
      return new Tdc1Decoder(context);
  }
}
