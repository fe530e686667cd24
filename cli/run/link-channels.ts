import type { Clock } from "../../hal/clock.ts";
import { LabError } from "../../hal/errors.ts";
import type { Logger } from "../../hal/log.ts";
import type { Station, StationLink, StationNode } from "../../hal/station/station-schema.ts";
import type { ClassicalChannel } from "../../stack/classical/channel.ts";
import { createInProcessChannel } from "../../stack/classical/in-process-channel.ts";
import { openTcpChannel } from "../../stack/classical/tcp-channel.ts";
import { ClosingOrder } from "./closing-order.ts";

/** The classical channels of the nodes that run here. */
export interface StationChannels {
  /** Gives the end of a link's channel at a node that runs here. */
  at(link: string, node: string): ClassicalChannel;
  readonly all: readonly ClassicalChannel[];
  close(): Promise<void>;
}

const key = (link: string, node: string): string => `${link} ${node}`;

/**
 * Opens the channels of all links that end at one of `nodes`.
 * @throws LabError `station.split-link` when an in-process link would leave the process, `channel.*`.
 */
export async function openLinkChannels(
  station: Station,
  nodes: readonly StationNode[],
  context: { readonly clock: Clock; readonly logger: Logger },
): Promise<StationChannels> {
  const here = new Set(nodes.map(({ name }) => name));
  const channels = new Map<string, ClassicalChannel>();
  const closing = new ClosingOrder(context.logger);
  const open = async (link: StationLink): Promise<void> => {
    const ends = link.ends.filter((end) => here.has(end));
    if (ends.length === 0) return;
    if (link.channel === "in-process") {
      assertBothHere(link, ends, station);
      const opened = createInProcessChannel({ ends: link.ends, clock: context.clock });
      for (const channel of opened) channels.set(key(link.name, channel.local), channel);
      return;
    }
    for (const local of ends) {
      channels.set(key(link.name, local), await openTcpEnd(link, local, context));
    }
  };
  const close = async (): Promise<void> => {
    await Promise.all([...channels.values()].map((channel) => channel.close()));
  };
  closing.add("channels", close);
  try {
    for (const link of station.links.values()) await open(link);
  } catch (error) {
    await closing.close();
    throw error;
  }
  return {
    all: [...channels.values()],
    at: (link, node) => {
      const channel = channels.get(key(link, node));
      if (channel === undefined) throw new TypeError(`link ${link} has no end at ${node} here`);
      return channel;
    },
    close: () => closing.close(),
  };
}

function assertBothHere(link: StationLink, ends: readonly string[], { path }: Station): void {
  if (ends.length === 2) return;
  throw new LabError(
    "station.split-link",
    `link ${link.name} in ${path} is in-process, but only ${ends[0]} runs here: give it a channel such as tcp:127.0.0.1:7300`,
    { details: { link: link.name } },
  );
}

/** The second end of a link listens, the first one calls. */
function openTcpEnd(
  link: StationLink,
  local: string,
  { clock, logger }: { readonly clock: Clock; readonly logger: Logger },
): Promise<ClassicalChannel> {
  const [announcer, matcher] = link.ends;
  const address = /^tcp:(?:\/\/)?(\[[0-9a-f:]+\]|[^:]+):(\d+)$/i.exec(link.channel);
  const [, host = "", port = "0"] = address ?? [];
  return openTcpChannel({
    ...{ role: local === matcher ? "listen" : "connect", host, port: Number(port) },
    ...{ local, peer: local === matcher ? announcer : matcher, link: link.name, clock, logger },
  });
}
