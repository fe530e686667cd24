import { filter, firstValueFrom, map } from "rxjs";
import { type Clock, withDeadline } from "../../hal/clock.ts";
import { LabError } from "../../hal/errors.ts";
import type { ChannelState, ClassicalChannel } from "./channel.ts";

/** Makes a channel state of this moment. */
export function channelState(
  clock: Clock,
  state: ChannelState["state"],
  reason?: string,
): ChannelState {
  const since = new Date(Number(clock.utcPs() / 1_000_000_000n)).toISOString();
  return reason === undefined ? { state, since } : { state, since, reason };
}

/**
 * Resolves once the channel is open.
 * @throws LabError `channel.no-answer` after `timeoutMs`, with the last reason the channel gave;
 * `channel.closed` when it closes for good first.
 */
export async function waitUntilOpen(
  channel: ClassicalChannel,
  clock: Clock,
  timeoutMs: number,
): Promise<void> {
  let reason = "nothing has answered yet";
  const { local, peer } = channel;
  const settled = firstValueFrom(
    channel.state$.pipe(
      map((now) => {
        reason = now.reason ?? reason;
        if (now.state !== "closed") return now.state;
        throw new LabError(
          "channel.closed",
          `the channel from ${local} to ${peer} is closed: ${reason}`,
          { details: { local, peer } },
        );
      }),
      filter((state) => state === "open"),
    ),
  );
  await withDeadline(
    clock,
    settled,
    timeoutMs,
    () =>
      new LabError(
        "channel.no-answer",
        `${peer} did not answer ${local} within ${timeoutMs} ms: ${reason}; check that the other node runs and that the address is right`,
        { details: { local, peer, timeoutMs } },
      ),
  );
}
