import { LabError } from "../errors.ts";

/** Where an instrument is, parsed from a station's `port:`. */
export type LinkUrl =
  | { readonly kind: "serial"; readonly path: string }
  | { readonly kind: "tcp"; readonly host: string; readonly port: number }
  /** An instrument of the station's mock section; whoever runs the mocks replaces it by a serial or tcp URL. */
  | { readonly kind: "mock"; readonly name: string };

const tcpAddress = /^(?:\[([0-9a-fA-F:.]+)\]|([^:[\]\s]+)):(\d{1,5})$/;

/**
 * Parses `serial:/dev/serial/by-id/...`, `serial:COM3`, `tcp:host:port`, `tcp:[::1]:port` or `mock:name`.
 * @throws LabError `link.malformed-url`.
 */
export function parseLinkUrl(text: string): LinkUrl {
  const colon = text.indexOf(":");
  const kind = text.slice(0, Math.max(colon, 0));
  const rest = text.slice(colon + 1);
  if (kind === "serial" && rest !== "") return { kind, path: rest };
  if (kind === "mock" && /^[a-z0-9][a-z0-9-]*$/.test(rest)) return { kind, name: rest };
  const address = kind === "tcp" ? tcpAddress.exec(rest) : null;
  const port = Number(address?.[3]);
  const host = address?.[1] ?? address?.[2];
  if (kind === "tcp" && host !== undefined && port >= 1 && port <= 65_535) {
    return { kind, host, port };
  }
  throw new LabError(
    "link.malformed-url",
    `"${text}" is not a port: write serial:/dev/serial/by-id/..., tcp:host:port or mock:instrument`,
    { details: { url: text } },
  );
}

/** Prints a link URL as `parseLinkUrl` reads it. */
export function formatLinkUrl(url: LinkUrl): string {
  switch (url.kind) {
    case "serial":
      return `serial:${url.path}`;
    case "tcp":
      return `tcp:${url.host.includes(":") ? `[${url.host}]` : url.host}:${url.port}`;
    case "mock":
      return `mock:${url.name}`;
  }
}
