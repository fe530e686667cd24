/** Replays a recording at a chosen speed: blocks wait until their time has come, and the reader waits for them. */
import { Observable } from "rxjs";
import type { Clock } from "../hal/clock.ts";
import { LabError } from "../hal/errors.ts";
import { createRetainQuota } from "../hal/tags/block-hub.ts";
import type { RetainedBlock, TagBlock } from "../hal/tags/tag-stream.ts";

/**
 * Emits each block `speed` times as fast as its tags came. Blocks that wait keep their slots, so that a reader
 * with credits stops by itself; `blocksMax` must be at least its slots. Errors with LabError `tags.stale`
 * when a block could not be kept.
 */
export function paceBlocks(
  blocks$: Observable<TagBlock>,
  options: { readonly clock: Clock; readonly speed: number; readonly blocksMax: number },
): Observable<TagBlock> {
  const { clock, speed, blocksMax } = options;
  return new Observable((subscriber) => {
    const quota = createRetainQuota("replay", blocksMax);
    const waiting: RetainedBlock[] = [];
    let origin: { readonly atMs: number; readonly fromPs: bigint } | undefined;
    let isComplete = false;
    let timer: Disposable | undefined;

    const emitHead = (): void => {
      timer = undefined;
      const head = waiting.shift();
      if (head !== undefined) {
        subscriber.next(head.block);
        head[Symbol.dispose]();
      }
      arm();
    };
    const arm = (): void => {
      const [head] = waiting;
      if (timer !== undefined) return;
      if (head === undefined) {
        if (isComplete) subscriber.complete();
        return;
      }
      origin ??= { atMs: clock.monotonicMs(), fromPs: head.block.fromPs };
      const dueMs = Number(head.block.toPs - origin.fromPs) / 1e9 / speed;
      timer = clock.after(Math.max(0, origin.atMs + dueMs - clock.monotonicMs()), emitHead);
    };
    const subscription = blocks$.subscribe({
      next: (block) => {
        const retained = block.retain(quota);
        if (retained === null) {
          subscriber.error(new LabError("tags.stale", "a block of the replay could not be kept"));
          return;
        }
        waiting.push(retained);
        arm();
      },
      error: (error) => subscriber.error(error),
      complete: () => {
        isComplete = true;
        arm();
      },
    });
    return () => {
      subscription.unsubscribe();
      timer?.[Symbol.dispose]();
      for (const retained of waiting.splice(0)) retained[Symbol.dispose]();
    };
  });
}
