import { mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { firstValueFrom, take, toArray } from "rxjs";
import { describe, expect, test } from "vitest";
import { systemClock, withDeadline } from "../../../hal/clock.ts";
import type { LabError } from "../../../hal/errors.ts";
import type { PausableLink } from "../../../hal/links/byte-link.ts";
import { openSerialLink } from "../../../hal/links/serial.ts";
import { hasPty, openPty } from "../../../mocks/ports/pty.ts";

const open = (path: string): Promise<PausableLink> =>
  openSerialLink({ path, baud: 115_200 }, systemClock);
const pathOf = (url: string): string => url.slice("serial:".length);
const within = <T>(promise: Promise<T>, timeoutMs: number): Promise<T> =>
  withDeadline(systemClock, promise, timeoutMs);

describe.skipIf(!hasPty())("a serial port over a pseudo-terminal", () => {
  test("carries all 256 byte values both ways unchanged", async () => {
    const pty = openPty();
    const link = await open(pathOf(pty.url));
    const all = Uint8Array.from({ length: 256 }, (_, value) => value);
    const there = firstValueFrom(pty.received$.pipe(take(1)));
    await link.send(all);
    expect(Uint8Array.from(await there)).toEqual(all);
    const back = firstValueFrom(link.received$.pipe(take(1), toArray()));
    pty.write(all);
    expect(Uint8Array.from(Buffer.concat(await back))).toEqual(all);
    await link.close();
    expect(await link.closed).toBeUndefined();
    await expect(link.send(all)).rejects.toMatchObject({ code: "link.closed" });
    pty.close();
  });

  // Right after opening, while streaming, and in the data handler: where the native binding retries a
  // read of 0 bytes for ever, burning a core and telling nobody.
  const unplugs: readonly (readonly [
    string,
    (link: PausableLink, unplug: () => void, write: () => void) => void,
  ])[] = [
    ["right after opening", (_link, unplug) => unplug()],
    [
      "in the data handler",
      (link, unplug, write) => {
        link.received$.subscribe({ next: unplug, error: () => {} });
        write();
      },
    ],
    ["while idle", (_link, unplug) => void setImmediate(() => setImmediate(unplug))],
    [
      "while streaming",
      (_link, unplug, write) => {
        for (let index = 0; index < 50; index++) write();
        unplug();
      },
    ],
  ];
  test.each(unplugs)("notices within a second that it was unplugged %s", async (_when, act) => {
    for (let attempt = 0; attempt < 3; attempt++) {
      const pty = openPty();
      const link = await open(pathOf(pty.url));
      act(
        link,
        () => pty.unplug(),
        () => void pty.write(Buffer.alloc(512, 7)),
      );
      const reason = await within(link.closed, 1_000);
      expect((reason as LabError).code).toBe("link.disconnected");
      const busy = process.cpuUsage();
      await within(new Promise((resolve) => setTimeout(resolve, 50)), 1_000);
      const { user, system } = process.cpuUsage(busy);
      expect((user + system) / 1_000).toBeLessThan(40);
      await link.close();
      pty.close();
    }
  });

  test("is refused to a second opener", async () => {
    const pty = openPty();
    const link = await open(pathOf(pty.url));
    await expect(open(pathOf(pty.url))).rejects.toMatchObject({ code: "link.busy" });
    await link.close();
    const again = await open(pathOf(pty.url));
    await again.close();
    pty.close();
  });
});

test("names what is wrong with a path that is no port", async () => {
  const file = join(mkdtempSync(join(tmpdir(), "bellwether-")), "notes.txt");
  writeFileSync(file, "");
  await expect(open("/dev/no-such-port")).rejects.toMatchObject({ code: "link.not-found" });
  await expect(open(file)).rejects.toMatchObject({ code: "link.not-a-port" });
  await expect(open("/dev/null")).rejects.toMatchObject({ code: "link.not-a-port" });
});
