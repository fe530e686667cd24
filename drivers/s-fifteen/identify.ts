import { isLabError, LabError } from "../../hal/errors.ts";
import type { LineClient } from "../../hal/links/line-client.ts";
import { abortCommand, emptyCommand, identityQuery, isPrintable } from "./dialect.ts";

const quietMs = 100;
const quietAfterAbortMs = 50;
const drainTimeoutMs = 1_500;
const identityTimeoutMs = 300;
const lastIdentityTimeoutMs = 1_000;

/** Which board a device of the station should be. */
export interface ExpectedBoard {
  /** The device's name in the station file. */
  readonly name: string;
  readonly url: string;
  /** What its identity line contains. */
  readonly family: string;
}

function wrongKind({ name, url, family }: ExpectedBoard, answered: string): LabError {
  return new LabError(
    "device.wrong-kind",
    `${name}: what is at ${url} answered "${answered}" to *IDN?, so it is no ${family}; correct the port of ${name}`,
    { details: { device: name, url, answered } },
  );
}

/** Asks once; null when there was no answer, or none that is text. */
async function askIdentity(client: LineClient, board: ExpectedBoard): Promise<string | null> {
  try {
    const { reply } = await client.query(identityQuery, {
      isReply: (line) => line.trim() !== "",
      timeoutMs: identityTimeoutMs,
    });
    if (reply.includes(board.family)) return reply;
    if (isPrintable(reply)) throw wrongKind(board, reply.trim());
    return null;
  } catch (error) {
    if (isLabError(error, "link.timeout")) return null;
    throw error;
  }
}

/**
 * Asks after ABORT. Its reply also tells that whatever the board had to say to ABORT is over: a board that does not know the command
 * refuses it, on a busy PC long after it was quiet. Null when there was no text.
 */
async function askIdentityAgain(client: LineClient, board: ExpectedBoard): Promise<string | null> {
  try {
    const { reply } = await client.query(identityQuery, {
      isReply: (line) => line.includes(board.family),
      timeoutMs: lastIdentityTimeoutMs,
    });
    return reply;
  } catch (error) {
    if (isLabError(error, "link.timeout")) return null;
    if (!isLabError(error, "protocol.unexpected-reply")) throw error;
    const { received } = error.details;
    const last: unknown = Array.isArray(received) ? received.at(-1) : undefined;
    if (typeof last === "string" && isPrintable(last)) throw wrongKind(board, last.trim());
    return null;
  }
}

/** Stops a binary stream that a crashed host left running. */
async function abortStream(client: LineClient, board: ExpectedBoard): Promise<void> {
  await client.send(emptyCommand + abortCommand);
  const { isQuiet } = await client.drain({
    quietMs: quietAfterAbortMs,
    timeoutMs: drainTimeoutMs,
  });
  if (isQuiet) return;
  throw wrongKind(board, "a stream that ABORT does not stop");
}

/**
 * Makes sure that the board at the port is of the expected family, stopping a stream that still runs, and gives its
 * identity line. The board is then quiet. @throws LabError `device.wrong-kind`, `device.no-answer`, `link.*`.
 */
export async function identifyBoard(client: LineClient, board: ExpectedBoard): Promise<string> {
  await client.send(emptyCommand);
  const { isQuiet } = await client.drain({ quietMs, timeoutMs: 3 * quietMs });
  // A board of another kind is recognised before it is told anything that it may not know.
  const first = isQuiet ? await askIdentity(client, board) : null;
  // A stream of a dark tagger can be silent for seconds: only ABORT tells that none runs.
  await abortStream(client, board);
  const line = (await askIdentityAgain(client, board)) ?? first;
  if (line !== null) return line;
  throw new LabError(
    "device.no-answer",
    `${board.name}: nothing at ${board.url} answered *IDN?; is the ${board.family} on, and is this its port?`,
    { details: { device: board.name, url: board.url } },
  );
}
