import fc from "fast-check";
import { expect, test } from "vitest";
import { systemClock } from "../../../hal/clock.ts";
import { formatLinkUrl, parseLinkUrl } from "../../../hal/links/link-url.ts";
import { openLink } from "../../../hal/links/open-link.ts";

test("parses each kind of port", () => {
  const byId = "/dev/serial/by-id/usb-S-Fifteen_Instruments_USB_Counter_TDC1-0020-if00";
  expect(parseLinkUrl(`serial:${byId}`)).toEqual({ kind: "serial", path: byId });
  expect(parseLinkUrl("serial:COM3")).toEqual({ kind: "serial", path: "COM3" });
  expect(parseLinkUrl("tcp:10.0.0.2:5025")).toEqual({ kind: "tcp", host: "10.0.0.2", port: 5025 });
  expect(parseLinkUrl("tcp:[::1]:7300")).toEqual({ kind: "tcp", host: "::1", port: 7300 });
  expect(parseLinkUrl("mock:alice-tagger")).toEqual({ kind: "mock", name: "alice-tagger" });
});

test("refuses what is no port, with a sentence that says what to write", () => {
  for (const text of [
    "",
    "/dev/ttyACM0",
    "serial:",
    "tcp:host",
    "tcp:host:0",
    "tcp:h:65536",
    "mock:",
  ]) {
    expect(() => parseLinkUrl(text)).toThrow(/is not a port: write serial:/);
  }
});

test("prints every URL as it parses it", () => {
  const urls = fc.oneof(
    fc.record({
      kind: fc.constant("tcp" as const),
      host: fc.domain(),
      port: fc.integer({ min: 1, max: 65_535 }),
    }),
    fc.record({ kind: fc.constant("serial" as const), path: fc.string({ minLength: 1 }) }),
  );
  fc.assert(fc.property(urls, (url) => void expect(parseLinkUrl(formatLinkUrl(url))).toEqual(url)));
});

test("does not open a mock by itself", async () => {
  await expect(openLink("mock:source", { baud: 9600, clock: systemClock })).rejects.toMatchObject({
    code: "link.unresolved-mock",
  });
});
