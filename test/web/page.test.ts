import { existsSync, mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type BrowserContext, chromium, type Page } from "playwright-core";
import { BehaviorSubject } from "rxjs";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { LiveState } from "../../cli/live-state.ts";
import { startWebServer, type WebServer } from "../../cli/web-server.ts";
import { systemClock } from "../../hal/clock.ts";
import { silentLogger } from "../../hal/log.ts";
import { systemRandom } from "../../hal/random.ts";
import { syntheticState } from "./synthetic-state.ts";

const { CHROMIUM: chromiumPath } = process.env;
const executablePath = chromiumPath ?? "/usr/bin/chromium";
const hasChromium = existsSync(executablePath);
if (!hasChromium) {
  process.stdout.write(`page tests skipped: no Chromium at ${executablePath}; set CHROMIUM\n`);
}

const chromiumArguments = [
  ...["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"],
  ...["--disable-background-networking", "--disable-component-update", "--disable-sync"],
];
const screenshots = "artifacts";
const hostileName = '<img src=x onerror="window.wasHacked=1"><script>window.wasHacked=1</script>';

describe.skipIf(!hasChromium)("the page in a browser", () => {
  const profile = mkdtempSync(join(tmpdir(), "bellwether-page-"));
  const state$ = new BehaviorSubject<LiveState>(syntheticState(0));
  const errors: string[] = [];
  let server: WebServer;
  let browser: BrowserContext;
  let page: Page;

  const textOf = async (testId: string): Promise<string> =>
    (await page.getByTestId(testId).first().textContent()) ?? "";
  const numberOf = async (testId: string): Promise<number> =>
    Number(await page.getByTestId(testId).first().getAttribute("data-value"));
  const showStep = async (step: number, hostile = ""): Promise<void> => {
    const state = syntheticState(step, hostile);
    state$.next(state);
    const pairs = state.links[0]?.pairs;
    await page.waitForFunction(
      (expected) =>
        document.querySelector('[data-testid="pairs-alice-bob"]')?.getAttribute("data-value") ===
        expected,
      String(pairs),
    );
  };

  beforeAll(async () => {
    mkdirSync(screenshots, { recursive: true });
    server = await startWebServer({
      ...{ state$, logger: silentLogger, random: systemRandom, clock: systemClock },
    });
    browser = await chromium.launchPersistentContext(profile, {
      ...{ executablePath, args: chromiumArguments, viewport: { width: 1440, height: 1180 } },
      timeout: 20_000,
    });
    page = browser.pages()[0] ?? (await browser.newPage());
    page.on("pageerror", (error) => errors.push(error.message));
    page.on("console", (message) => {
      if (message.type() === "error") errors.push(message.text());
    });
    await page.goto(server.url);
  });

  afterAll(async () => {
    await browser?.close();
    await server?.close();
    rmSync(profile, { recursive: true, force: true });
  });

  test("is live, and its address no longer holds the token", async () => {
    await page
      .getByTestId("connection")
      .filter({ hasText: /^live$/ })
      .waitFor();
    expect(page.url()).not.toContain("token");
    expect(await textOf("station")).toBe("first-light");
  });

  test("shows numbers with their uncertainties, and they move with the station", async () => {
    await showStep(1);
    const singles = await numberOf("singles-alice-h");
    const coincidences = await numberOf("coincidences-alice-bob");
    for (let step = 2; step <= 90; step += 1) state$.next(syntheticState(step));
    await showStep(91);
    expect(await numberOf("singles-alice-h")).not.toBe(singles);
    expect(await numberOf("coincidences-alice-bob")).toBeGreaterThan(coincidences);
    expect(await numberOf("coincidences-alice-bob")).toBe(
      state$.value.links[0]?.coincidenceRateHz?.value,
    );
    expect(await textOf("coincidences-alice-bob")).toMatch(/^1\d\.\d\d\(\d+\)k\/s$/);
    expect(await textOf("singles-bob-a")).toMatch(/^\d\d\.\d+\(\d+\)k\/s$/);
    expect(await textOf("qber-alice-bob")).toMatch(/^1\.\d+\(\d+\)%$/);
    expect(await textOf("visibility-z-alice-bob")).toMatch(/^0\.9\d+\(\d+\)$/);
    expect(await textOf("clock-offset-alice-bob")).toMatch(/^offset 350\.01234\d+\(15\) ms$/);
    expect(await textOf("channel-alice-bob")).toBe("channel open");
    expect(await textOf("device-alice-source")).toBe("active");
    expect(await textOf("lost-bob")).toContain("how many is not known");
    expect(await page.getByTestId("keys-alice-bob").locator("tbody tr").count()).toBe(2);
  });

  test("draws its curves", async () => {
    const inked = await page.evaluate(() =>
      [...document.querySelectorAll("canvas")].map((canvas) => {
        const { data } = canvas
          .getContext("2d")
          ?.getImageData(0, 0, canvas.width, canvas.height) ?? { data: [] };
        return data.some((value) => value !== 0);
      }),
    );
    expect(inked.length).toBe(11);
    expect(inked.every(Boolean)).toBe(true);
  });

  test("takes a device's name as text, never as markup", async () => {
    await showStep(92, hostileName);
    expect(await textOf("station")).toBe(`first-light${hostileName}`);
    expect(await page.evaluate(() => "wasHacked" in window)).toBe(false);
    expect(await page.locator("main img, h1 img").count()).toBe(0);
    await showStep(93);
  });

  test("fills the screen with large numbers on the key F, and leaves on Escape", async () => {
    await page.keyboard.press("f");
    const height = await page
      .getByTestId("far-coincidences")
      .evaluate((node) => node.getBoundingClientRect().height);
    expect(height).toBeGreaterThan(200);
    await page.screenshot({ path: join(screenshots, "page-across-the-lab.png") });
    await page.keyboard.press("Escape");
    expect(await page.getByTestId("far-coincidences").isVisible()).toBe(false);
  });

  test("switches the tone on by its button only", async () => {
    const button = page.getByRole("button", { name: "Tone" });
    expect(await button.getAttribute("aria-pressed")).toBe("false");
    await button.click();
    expect(await button.getAttribute("aria-pressed")).toBe("true");
    await button.click();
  });

  test("fits every width without scrolling sideways, in light and in dark", async () => {
    for (const colorScheme of ["light", "dark"] as const) {
      await page.emulateMedia({ colorScheme });
      for (const width of [1440, 900, 420]) {
        await page.setViewportSize({ width, height: 1180 });
        await page.waitForFunction(() => document.documentElement.scrollWidth <= innerWidth);
        const path = join(screenshots, `page-${colorScheme}-${width}.png`);
        await page.screenshot({ path, fullPage: true });
      }
    }
    await page.emulateMedia({ colorScheme: "light" });
    await page.setViewportSize({ width: 1440, height: 1180 });
  });

  test("says since when it is disconnected once the server is gone, and greys its values", async () => {
    expect(errors).toEqual([]);
    await server.close();
    await page
      .getByTestId("connection")
      .filter({ hasText: /^disconnected since \d\d:\d\d:\d\d$/ })
      .waitFor();
    const opacity = async (): Promise<number> =>
      Number(
        await page
          .getByTestId("coincidences-alice-bob")
          .evaluate((node) => getComputedStyle(node).opacity),
      );
    await expect.poll(opacity).toBeLessThan(0.5);
    expect(await textOf("far-connection")).toBe(await textOf("connection"));
    await page.screenshot({ path: join(screenshots, "page-disconnected.png"), fullPage: true });
  });
});
