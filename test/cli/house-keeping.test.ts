import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gunzipSync } from "node:zlib";
import { afterAll, describe, expect, test } from "vitest";
import { createPrinter, wrapWords } from "../../cli/print.ts";
import { withoutSecrets } from "../../cli/redaction.ts";
import { createTarGz } from "../../cli/tar-archive.ts";
import { drawHistogram } from "../../cli/terminal-histogram.ts";
import { bellwether } from "./command-line.ts";

const folder = mkdtempSync(join(tmpdir(), "bellwether-doctor-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe("doctor", () => {
  test("checks this machine, and its exit code says the same as its report", async () => {
    const { exitCode, output } = await bellwether("doctor", "--json");
    const { ok, checks, versions } = JSON.parse(output);
    expect(exitCode).toBe(ok ? 0 : 3);
    const names = checks.map(({ name }: { readonly name: string }) => name);
    expect(names).toEqual(
      expect.arrayContaining(["node", "disk", "memory", "clock", "clock sync", "pseudo-terminals"]),
    );
    expect(versions).toMatchObject({
      node: process.versions.node,
      serialport: expect.stringMatching(/^\d+\./),
    });
  });

  test("says what a bundle holds, then bundles checks, logs and stations without secrets", async () => {
    const [station, log, out] = ["station.yaml", "run.log", "bundle.tgz"].map((name) =>
      join(folder, name),
    ) as [string, string, string];
    writeFileSync(station, "station: a\nkme:\n  clientPassword: hunter2\n  port: 1\n");
    writeFileSync(log, '{"level":"info","url":"http://127.0.0.1:1/?token=abc123"}\n');
    const command = ["doctor", "--bundle", out, "--station", station, "--log", log];
    const { output } = await bellwether(...command);
    const archive = gunzipSync(readFileSync(out)).toString("latin1");
    for (const name of ["doctor.json", "stations/1-station.yaml", "logs/1-run.log"]) {
      expect(archive).toContain(name);
      expect(output).toContain(`  ${name}  `);
    }
    expect(archive).not.toMatch(/hunter2|abc123/);
    expect(archive).toContain("clientPassword: [left out]");
    expect(archive).toContain("port: 1");
    const again = await bellwether(...command);
    expect([again.exitCode, again.errors]).toEqual([
      1,
      `bellwether: ${out} exists already; choose another name\n`,
    ]);
  });
});

describe("what is taken for a secret", () => {
  test.each([
    ["password: hunter2", "password: [left out]"],
    ["- apiToken: 'x y'", "- apiToken: [left out]"],
    ["a:\n  key_secret: |\n    one\n    two\n  b: 1", "a:\n  key_secret: [left out]\n  b: 1"],
    [
      "kme: { user: me, password: hunter2, port: 1 }",
      "kme: { user: me, password: [left out], port: 1 }",
    ],
    ['{"accessToken":"a\\"b","n":1}', '{"accessToken":[left out],"n":1}'],
    ["GET /?token=abc&x=1", "GET /?token=[left out]&x=1"],
    ["nats://me:pw@host:1", "nats://[left out]@host:1"],
    ["-----BEGIN EC PRIVATE KEY-----\nAA\n-----END EC PRIVATE KEY-----\nb", "[left out]\nb"],
    ["-----BEGIN PRIVATE KEY-----\nAA\nBB", "[left out]"],
  ])("%j becomes %j", (text, expected) => expect(withoutSecrets(text)).toBe(expected));

  test("leaves a station as it is", () => {
    const text = "key:\n  securityError: 1.0e-9\n  blockBits: 50000\nport: serial:/dev/ttyACM0\n";
    expect(withoutSecrets(text)).toBe(text);
  });
});

describe("devices", () => {
  test("lists the drivers without opening anything", async () => {
    const { exitCode, output } = await bellwether("devices", "--json");
    expect(exitCode).toBe(0);
    const { drivers, ports, devices } = JSON.parse(output);
    expect(drivers).toContainEqual(
      expect.objectContaining({ id: "s-fifteen/tdc1", roles: ["time-tagger"] }),
    );
    expect(Array.isArray(ports)).toBe(true);
    expect(devices).toBeNull();
  });
});

describe("station check", () => {
  test("names file and line of every problem, and exits with 1", async () => {
    const path = join(folder, "wrong.yaml");
    writeFileSync(path, "station: a\nnodes:\n  alice:\n    devces: {}\nnonsense: 1\n");
    const { exitCode, output, errors } = await bellwether("station", "check", path);
    expect([exitCode, output]).toEqual([1, ""]);
    expect(errors).toContain(`${path}:4:`);
    expect(errors).toContain(`${path}:5:`);
    const report = await bellwether("station", "check", path, "--json");
    expect(report.exitCode).toBe(1);
    const { ok, problems } = JSON.parse(report.output);
    expect(ok).toBe(false);
    expect(problems[0]).toMatchObject({ file: path, line: 4 });
  });
});

describe("the archive", () => {
  test("has a header whose checksum holds and pads files to 512 bytes", () => {
    const tar = gunzipSync(createTarGz([{ name: "a.txt", bytes: Buffer.from("hello") }], 0));
    expect(tar.length).toBe(512 + 512 + 1_024);
    const header = Buffer.from(tar.subarray(0, 512));
    const checksum = Number.parseInt(header.toString("ascii", 148, 154), 8);
    header.fill(" ", 148, 156);
    expect(checksum).toBe(header.reduce((sum, byte) => sum + byte, 0));
    expect(tar.toString("ascii", 512, 517)).toBe("hello");
  });
});

describe("the drawing of a histogram", () => {
  test("shows the highest column full, the axis in ns, and fits the terminal", () => {
    const counts = Array.from({ length: 200 }, (_, index) => (index === 100 ? 80 : index % 3));
    const lines = drawHistogram(
      { fromPs: -100_000, binPs: 1_000, counts },
      { columns: 72, rows: 4 },
    );
    expect(lines).toHaveLength(6);
    expect(Math.max(...lines.map((line) => line.length))).toBeLessThanOrEqual(72);
    expect(lines[0]?.match(/█/g)).toHaveLength(1);
    expect(lines.at(-1)).toMatch(/^ +-100 .* ns$/);
  });
  test("draws nothing high where nothing was counted", () => {
    const lines = drawHistogram({ fromPs: 0, binPs: 1, counts: [0, 0] }, { columns: 40, rows: 2 });
    expect(lines.join("")).not.toMatch(/[▁-█]/);
  });
});

describe("the printer", () => {
  const printerOn = (isTerminal: boolean, environment = {}) => {
    const written: string[] = [];
    const errors: string[] = [];
    const sink = (target: string[]) => ({
      // biome-ignore lint/style/useNamingConvention: the name is the runtime's.
      isTTY: isTerminal,
      columns: 80,
      write: (text: string) => target.push(text),
    });
    const printer = createPrinter({ output: sink(written), errors: sink(errors), environment });
    return { printer, written, errors };
  };
  test("shows progress on a terminal alone, and takes it away before a result", () => {
    const { printer, written, errors } = printerOn(true);
    printer.progress("half");
    printer.line("done");
    expect([written, errors]).toEqual([["done\n"], ["\r\u001b[Khalf", "\r\u001b[K"]]);
    const piped = printerOn(false);
    piped.printer.progress("half");
    expect(piped.errors).toEqual([]);
  });
  test("uses no colour in a pipe or under NO_COLOR", () => {
    expect(printerOn(true).printer.strong("a")).toBe("\u001b[1ma\u001b[0m");
    expect(printerOn(false).printer.strong("a")).toBe("a");
    const environment = Object.fromEntries([["NO_COLOR", "1"]]);
    expect(printerOn(true, environment).printer.strong("a")).toBe("a");
  });
  test("breaks long lines between words on a terminal, below their text, and nowhere else", () => {
    const text = `   8.8 s  ${"word ".repeat(20)}end`;
    const onTerminal = printerOn(true);
    onTerminal.printer.line(text);
    const lines = (onTerminal.written[0] ?? "").trimEnd().split("\n");
    expect(lines).toHaveLength(2);
    expect(lines[0]).toBe(`   8.8 s  ${"word ".repeat(14).trim()}`);
    expect(lines[1]).toBe(`          ${"word ".repeat(6)}end`);
    const piped = printerOn(false);
    piped.printer.line(text);
    expect(piped.written).toEqual([`${text}\n`]);
    expect(wrapWords("", 80)).toBe("");
    expect(wrapWords(`note: ${"x".repeat(100)}`, 80)).toBe(`note:\n${"x".repeat(100)}`);
    expect(wrapWords(`\u001b[1m${"x".repeat(80)}\u001b[0m`, 80)).not.toContain("\n");
  });
  test("writes bigints as decimal strings, one object a line", () => {
    const { printer, written } = printerOn(false);
    printer.json({ timePs: 9_007_199_254_740_993n });
    expect(written).toEqual(['{"timePs":"9007199254740993"}\n']);
  });
});

describe("help", () => {
  test("shows defaults of every kind, and fits 80 columns", async () => {
    const commands = ["", "run", "replay", "doctor", "measure coincidences", "measure delay"];
    const results = await Promise.all(
      commands.map((command) => bellwether(...command.split(" ").filter(Boolean), "--help")),
    );
    for (const { exitCode, output, errors } of results) {
      expect([exitCode, errors]).toEqual([0, ""]);
      expect(output).toMatch(/^Usage: bellwether /);
      expect(Math.max(...output.split("\n").map((line) => line.length))).toBeLessThanOrEqual(80);
    }
  });
});
