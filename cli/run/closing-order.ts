import { messageOf } from "../../hal/errors.ts";
import type { Logger } from "../../hal/log.ts";

/** Closes what was opened, last first; a failure is logged and does not keep the rest open. */
export class ClosingOrder {
  readonly #steps: (readonly [what: string, close: () => Promise<void>])[] = [];
  readonly #logger: Logger;
  #closing: Promise<void> | undefined;

  constructor(logger: Logger) {
    this.#logger = logger;
  }

  add(what: string, close: () => Promise<void>): void {
    this.#steps.push([what, close]);
  }

  close(): Promise<void> {
    this.#closing ??= this.#closeAll();
    return this.#closing;
  }

  async #closeAll(): Promise<void> {
    for (const [what, close] of this.#steps.toReversed()) {
      try {
        await close();
      } catch (error) {
        this.#logger.error({ what, reason: messageOf(error) }, "not closed in order");
      }
    }
  }
}
