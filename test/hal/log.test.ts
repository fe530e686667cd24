import { expect, it } from "vitest";
import { createLogger, silentLogger, toJson, withDecimalBigints } from "../../hal/log.ts";

it("logs JSON lines with times as ISO strings and bigints as decimal strings", () => {
  const lines: string[] = [];
  const logger = createLogger({
    level: "debug",
    destination: { write: (line) => lines.push(line) },
  });
  logger.debug({ fromPs: 5_000_000_000_000_000_001n, nested: [{ toPs: 2n }] }, "loss");
  const record = JSON.parse(lines[0] ?? "") as Record<string, unknown>;
  expect(record).toMatchObject({
    ...{ level: "debug", msg: "loss", fromPs: "5000000000000000001" },
    nested: [{ toPs: "2" }],
    time: expect.stringMatching(/^\d{4}-\d\d-\d\dT[\d:.]+Z$/),
  });
  logger.trace("not at this level");
  expect(lines).toHaveLength(1);
});

it("does not follow a record without end", () => {
  const loop: { self: unknown } = { self: null };
  loop.self = loop;
  expect(() => withDecimalBigints(loop)).not.toThrow();
});

it("gives JSON with exact times", () => {
  expect(toJson({ at: 2n ** 60n })).toBe('{"at":"1152921504606846976"}');
});

it("has a logger that writes nothing", () => {
  expect(silentLogger.isLevelEnabled("fatal")).toBe(false);
});
