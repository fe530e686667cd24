import type { Clock } from "../clock.ts";
import { LabError } from "../errors.ts";
import type { PausableLink } from "./byte-link.ts";
import { parseLinkUrl } from "./link-url.ts";
import { openSerialLink } from "./serial.ts";
import { openTcpLink } from "./tcp.ts";

/**
 * Opens the port at a link URL.
 * @throws LabError `link.malformed-url`, `link.unresolved-mock`, and what the kind of link throws.
 */
export async function openLink(
  text: string,
  options: { readonly baud: number; readonly clock: Clock },
): Promise<PausableLink> {
  const url = parseLinkUrl(text);
  switch (url.kind) {
    case "serial":
      return await openSerialLink({ path: url.path, baud: options.baud }, options.clock);
    case "tcp":
      return await openTcpLink(url, options.clock);
    case "mock":
      throw new LabError(
        "link.unresolved-mock",
        `${text} is a mock and has no port of its own: run it with the station that describes it`,
        { details: { url: text } },
      );
  }
}
