import { Subject } from "rxjs";
import { describe, expect, it } from "vitest";
import { systemClock } from "../../../../hal/clock.ts";
import { silentLogger } from "../../../../hal/log.ts";
import { systemRandom } from "../../../../hal/random.ts";
import type { KeyEvent } from "../../../../stack/application/qkd/key-events.ts";
import { keyMessageSchema } from "../../../../stack/application/qkd/key-messages.ts";
import { openKeySession } from "../../../../stack/application/qkd/key-session.ts";
import { parseKeySettings } from "../../../../stack/application/qkd/key-settings.ts";
import { createInProcessChannel } from "../../../../stack/classical/in-process-channel.ts";
import { openMessagePort } from "../../../../stack/classical/message-port.ts";
import type { PairRecords } from "../../../../stack/link/pair-records.ts";
import { of } from "./key-lab.ts";
import { drawPairs, kernels } from "./seeded-lab.ts";

describe("two key sessions on a classical channel", () => {
  it("distil a key of 60,000 bits' block in real time, without one malformed message", async () => {
    const settings = parseKeySettings({ blockBits: 60_000 });
    const [aliceChannel, bobChannel] = createInProcessChannel({ ends: ["alice", "bob"] });
    const open = (end: "alice" | "bob") => {
      const channel = end === "alice" ? aliceChannel : bobChannel;
      const port = openMessagePort(channel, "key", keyMessageSchema);
      const records = new Subject<PairRecords>();
      const session = openKeySession({
        port,
        records$: records,
        end,
        settings,
        clock: systemClock,
        random: systemRandom,
        logger: silentLogger,
        kernels,
      });
      const events: KeyEvent[] = [];
      const settled = new Promise<void>((resolve) => {
        session.events$.subscribe((event) => {
          events.push(event);
          if (event.type === "key" || event.type === "aborted") resolve();
        });
      });
      return { port, records, session, events, settled };
    };
    const [alice, bob] = [open("alice"), open("bob")];
    const pairs = drawPairs(systemRandom, { count: 124_000, firstSequence: 0n, qber: 0.02 });
    alice.records.next(pairs.alice);
    bob.records.next(pairs.bob);
    await Promise.all([alice.settled, bob.settled]);
    const [mine] = of(alice.events, "key");
    const [theirs] = of(bob.events, "key");
    expect(mine?.fingerprint).toBe(theirs?.fingerprint);
    expect(theirs !== undefined && mine?.secret.equals(theirs.secret)).toBe(true);
    expect(mine?.bits).toBeGreaterThan(15_000);
    expect(alice.port.malformed + bob.port.malformed).toBe(0);
    alice.session.close();
    bob.session.close();
    await Promise.all([aliceChannel.close(), bobChannel.close()]);
  });
});
