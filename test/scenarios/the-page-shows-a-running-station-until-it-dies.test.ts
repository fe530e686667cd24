import { existsSync, mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type BrowserContext, chromium, type Page } from "playwright-core";
import { afterAll, expect, test } from "vitest";
import { cleanUpPrograms, start, until } from "./program.ts";

const { CHROMIUM: chromiumPath } = process.env;
const executablePath = chromiumPath ?? "/usr/bin/chromium";
const profile = mkdtempSync(join(tmpdir(), "bellwether-page-"));
let browser: BrowserContext | undefined;

afterAll(async () => {
  await browser?.close();
  cleanUpPrograms();
  rmSync(profile, { recursive: true, force: true });
});

const numberOf = async (page: Page, testId: string): Promise<number> =>
  Number(await page.getByTestId(testId).first().getAttribute("data-value"));

/** What stations/first-light.yaml comes to: about 64,000 coincidences a second; light that ramps gives less. */
const coincidenceRateHz = [50_000, 75_000] as const;

test.skipIf(!existsSync(executablePath))(
  "the page shows the coincidences and keys of a station that runs, and that it is gone once killed",
  async () => {
    const program = start("run", "--json");
    const { url = "" } = await until("the page", () => program.all("page")[0], 60_000);
    browser = await chromium.launchPersistentContext(profile, {
      executablePath,
      args: [
        ...["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"],
        ...["--disable-background-networking", "--disable-component-update", "--disable-sync"],
      ],
      viewport: { width: 1440, height: 1180 },
      timeout: 30_000,
    });
    const page = browser.pages()[0] ?? (await browser.newPage());
    await page.goto(url);
    await page.waitForFunction(
      ([least]) => {
        const shown = (testId: string): number =>
          Number(document.querySelector(`[data-testid="${testId}"]`)?.getAttribute("data-value"));
        return shown("coincidences-alice-bob") > (least ?? 0) && shown("secret-bits-alice-bob") > 0;
      },
      [coincidenceRateHz[0]],
      { timeout: 60_000 },
    );
    expect(await numberOf(page, "coincidences-alice-bob")).toBeLessThan(coincidenceRateHz[1]);
    expect(await numberOf(page, "qber-alice-bob")).toBeGreaterThan(0.004);
    expect(await numberOf(page, "qber-alice-bob")).toBeLessThan(0.02);
    expect(await numberOf(page, "visibility-z-alice-bob")).toBeGreaterThan(0.97);
    const pairsBefore = await numberOf(page, "pairs-alice-bob");
    await page.waitForFunction(
      (before) =>
        Number(
          document.querySelector('[data-testid="pairs-alice-bob"]')?.getAttribute("data-value"),
        ) > before,
      pairsBefore,
      { timeout: 20_000 },
    );
    mkdirSync("artifacts", { recursive: true });
    await page.screenshot({ path: "artifacts/page-running-station.png", fullPage: true });
    program.kill("SIGKILL");
    await page.waitForFunction(
      () =>
        /disconnected since \d/.test(
          document.querySelector('[data-testid="connection"]')?.textContent ?? "",
        ),
      undefined,
      { timeout: 30_000 },
    );
    await until("the last process", () => program.alive.length === 0, 20_000);
  },
  180_000,
);
