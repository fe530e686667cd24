/** What every command is given, and how its arguments are read. */
import { type Command, InvalidArgumentError } from "commander";
import type { Clock } from "../hal/clock.ts";
import { LabError, messageOf } from "../hal/errors.ts";
import type { Logger } from "../hal/log.ts";
import type { RandomSource } from "../hal/random.ts";
import { type Ps, parsePs, psPerS } from "../hal/units.ts";
import type { ExitCode } from "./exit-codes.ts";
import type { Printer } from "./print.ts";

/** The surroundings of a command. */
export interface CommandContext {
  readonly printer: Printer;
  readonly clock: Clock;
  readonly random: RandomSource;
  readonly logger: Logger;
  /** Aborted by the first Ctrl-C; what is open is then closed, and the command ends. */
  readonly signal: AbortSignal;
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** Runs the work of a command and keeps its exit code; 0 when it gives none. */
  readonly run: (work: () => Promise<ExitCode | undefined>) => Promise<void>;
}

/** Adds a command to the program. */
export type AddCommand = (program: Command, context: CommandContext) => void;

/** Sums and differences of times up to this stay within 64 bits of picoseconds. */
const spanMaxS = 2_500_000n;

/** Reads a time such as `-23.94ns` or `60s`, of 28 days at most. */
export function timeArgument(text: string): Ps {
  const time = parseTime(text);
  if (time > spanMaxS * psPerS || time < -spanMaxS * psPerS) {
    throw new InvalidArgumentError(`it must be at most ${spanMaxS}s.`);
  }
  return time;
}

function parseTime(text: string): Ps {
  try {
    return parsePs(text);
  } catch (cause) {
    throw Object.assign(new InvalidArgumentError(messageOf(cause)), { cause });
  }
}

/** Reads a time above zero. */
export function positiveTimeArgument(text: string): Ps {
  const time = timeArgument(text);
  if (time <= 0n) throw new InvalidArgumentError("it must be above zero.");
  return time;
}

/** A channel as it was written: its number from 0, or its name in the recording, such as a detector's. */
export type ChannelName = number | string;

/** Reads a channel. */
export function channelArgument(text: string): ChannelName {
  if (!/^\d+$/.test(text)) {
    if (/^\p{L}/u.test(text)) return text;
    throw new InvalidArgumentError("a channel is a number from 0, or a name in the recording.");
  }
  if (Number(text) > 255) throw new InvalidArgumentError("channels end at 255.");
  return Number(text);
}

/** Reads a list of two or more different channels, `0,1`. */
export function channelsArgument(text: string): readonly ChannelName[] {
  const channels = text.split(",").map(channelArgument);
  if (channels.length < 2 || new Set(channels).size !== channels.length) {
    throw new InvalidArgumentError("name two or more different channels, such as 0,1.");
  }
  return channels;
}

/** Delays by channel. */
export type NamedDelays = ReadonlyMap<ChannelName, Ps>;

/** Reads `1=-23.94ns` onto the delays read so far; a delay is added to the channel's times. */
export function delayArgument(text: string, previous: NamedDelays): NamedDelays {
  const [channel, delay, ...rest] = text.split("=");
  if (channel === undefined || delay === undefined || rest.length > 0) {
    throw new InvalidArgumentError("write a channel and its delay, such as 1=-23.94ns.");
  }
  return new Map(previous).set(channelArgument(channel), timeArgument(delay));
}

/** Gives the number of a channel of a recording. @throws LabError `command.channel` when there is none. */
export function channelNumber(
  name: ChannelName,
  channels: readonly { readonly channel: number; readonly label: string }[],
): number {
  const found = channels.find(({ channel, label }) => channel === name || label === name);
  if (found !== undefined) return found.channel;
  const known = channels.map(({ channel, label }) => `${channel} (${label})`).join(", ");
  const wanted = typeof name === "number" ? `channel ${name}` : `channel named "${name}"`;
  throw new LabError("command.channel", `there is no ${wanted}; there are ${known}`);
}

/** Reads a number above zero. */
export function positiveNumberArgument(text: string): number {
  const value = Number(text);
  if (!(value > 0) || !Number.isFinite(value)) {
    throw new InvalidArgumentError("it must be a number above zero.");
  }
  return value;
}
