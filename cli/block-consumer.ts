import type { Observable } from "rxjs";
import { LabError } from "../hal/errors.ts";
import { createRetainQuota } from "../hal/tags/block-hub.ts";
import type { RetainedBlock, TagBlock } from "../hal/tags/tag-stream.ts";

/**
 * Gives every block of a recording to `consume`, one after the other. Blocks that wait keep their slots, so
 * the reader waits too; `blocksMax` must be at least its slots. Rejects with what the stream or
 * `consume` failed with, or the reason of `signal`.
 */
export function consumeBlocks(
  blocks$: Observable<TagBlock>,
  consume: (block: TagBlock) => Promise<void>,
  options: { readonly blocksMax: number; readonly signal: AbortSignal },
): Promise<void> {
  const { blocksMax, signal } = options;
  const quota = createRetainQuota("convert", blocksMax);
  return new Promise((resolve, reject) => {
    const waiting: RetainedBlock[] = [];
    let isBusy = false;
    let isComplete = false;
    let isEnded = false;
    const end = (settle: () => void): void => {
      isEnded = true;
      subscription.unsubscribe();
      signal.removeEventListener("abort", abort);
      for (const retained of waiting.splice(0)) retained[Symbol.dispose]();
      settle();
    };
    const fail = (reason: unknown): void => end(() => reject(reason));
    const abort = (): void => fail(signal.reason);
    const work = async (): Promise<void> => {
      isBusy = true;
      for (let head = waiting.shift(); head !== undefined && !isEnded; head = waiting.shift()) {
        using retained = head;
        await consume(retained.block);
      }
      isBusy = false;
      if (isComplete && !isEnded) end(resolve);
    };
    const start = (): void => {
      if (!isBusy && !isEnded) work().catch(fail);
    };
    const subscription = blocks$.subscribe({
      next: (block) => {
        const retained = block.retain(quota);
        if (retained === null) {
          fail(new LabError("tags.stale", "a block could not be kept until it was written"));
          return;
        }
        waiting.push(retained);
        start();
      },
      error: fail,
      complete: () => {
        isComplete = true;
        start();
      },
    });
    if (signal.aborted) abort();
    else signal.addEventListener("abort", abort, { once: true });
  });
}
