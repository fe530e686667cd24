import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { Spdc } from "../../../../mocks/instruments/s-fifteen/spdc.ts";

function createBench() {
  const spdc = new Spdc({ serialNumber: "SPDCSDR-7" });
  const ask = (text: string): string => {
    spdc.receive(Buffer.from(text));
    const reply = Buffer.from(spdc.peek()).toString("latin1");
    spdc.take(reply.length);
    return reply;
  };
  return { spdc, ask };
}

describe("the source board", () => {
  test("answers the sheet's worked conversation", () => {
    const { ask } = createBench();
    expect(ask("POWER 1;")).toBe("");
    expect(ask("POWER?;")).toBe("1\r\n");
    expect(ask("POWER 3;")).toBe("");
    expect(ask("ON;")).toBe("");
    expect(ask("LCURRENT 1.000;")).toBe("");
    expect(ask("HLOOP 1;PLOOP 1;")).toBe("");
    expect(ask("STATUS?;")).toBe("775\r\n");
    expect(ask("LCURRENT?;")).toBe("1.000\r\n");
  });

  test("names its family and its serial number", () => {
    expect(createBench().ask("*idn?\r\n")).toBe("S-Fifteen SPDCSDR, SPDCSDR-7\r\n");
  });

  test.each([
    ["HLIMIT", 0, 10],
    ["PLIMIT", 0, 2.5],
    ["HVOLT", 0, 10],
    ["PVOLT", -2.5, 2.5],
    ["HSETTEMP", 20, 100],
    ["HRATE", 0, 1],
    ["PSETTEMP", 20, 50],
    ["HCONSTP", 0, 10],
    ["HCONSTI", 0, 10],
    ["HCONSTD", 0, 10],
    ["PCONSTP", 0, 10],
    ["PCONSTI", 0, 10],
    ["PCONSTD", 0, 10],
    ["LCURRENT", 0, 97],
    ["LLIMIT", 0, 97],
  ])("%s takes %d to %d and refuses what is beyond", (name, min, max) => {
    const { ask } = createBench();
    for (const value of [min, max]) {
      expect(ask(`${name} ${value.toFixed(3)};`)).toBe("");
      expect(ask(`${name}?;`)).toBe(`${value.toFixed(3)}\r\n`);
    }
    for (const value of [min - 0.001, max + 0.001]) {
      expect(ask(`${name} ${value.toFixed(3)};`)).toBe("Invalid argument\r\n");
      expect(ask(`${name}?;`)).toBe(`${max.toFixed(3)}\r\n`);
    }
  });

  test.each([
    "HLOOP 2",
    "HLOOP 0.5",
    "POWER 4",
    "POWER -1",
    "LCURRENT",
    "LCURRENT x",
    "LCURRENT 1 2",
  ])("%s is refused", (command) => {
    expect(createBench().ask(`${command};`)).toMatch(/^(Invalid argument|Unknown command)\r\n$/);
  });

  test("keeps the current within LLIMIT, and a lower limit pulls it down", () => {
    const { ask } = createBench();
    expect(ask("LLIMIT 40;LCURRENT 40.001;")).toBe("Invalid argument\r\n");
    expect(ask("LCURRENT 40;LLIMIT 30;LCURRENT?;")).toBe("30.000\r\n");
  });

  test("lights only with rail, switch and current", () => {
    const { spdc, ask } = createBench();
    ask("LCURRENT 30;");
    expect(spdc.pumpCurrentMa).toBe(0);
    ask("ON;");
    expect(spdc.pumpCurrentMa).toBe(0);
    ask("POWER 2;");
    expect(spdc.pumpCurrentMa).toBe(30);
    ask("POWER 1;");
    expect(spdc.pumpCurrentMa).toBe(0);
    ask("POWER 3;OFF;");
    expect(spdc.pumpCurrentMa).toBe(0);
    ask("ON;*RST;");
    expect(spdc.pumpCurrentMa).toBe(0);
  });

  test("every split of a conversation gives the same replies", () => {
    const sent = "power 3;on;lcurrent 2.5\r\nLCURRENT?;hsettemp 101;status?\nnonsense;save;";
    const whole = createBench().ask(sent);
    expect(whole).toBe("2.500\r\nInvalid argument\r\n772\r\nUnknown command\r\nSaved\r\n");
    for (let cut = 0; cut <= sent.length; cut++) {
      const { ask } = createBench();
      expect(ask(sent.slice(0, cut)) + ask(sent.slice(cut))).toBe(whole);
    }
  });

  test("any bytes leave it within its limits", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
        const { spdc, ask } = createBench();
        spdc.receive(bytes);
        spdc.advance(1);
        spdc.take(spdc.peek().length);
        expect(spdc.pumpCurrentMa).toBeGreaterThanOrEqual(0);
        expect(ask(";*idn?;")).toContain("SPDCSDR-7");
      }),
      { seed: 15 },
    );
  });
});

describe("the oven", () => {
  test("warms to ambient + 12 K/V * V with a time constant of 30 s when its loop is off", () => {
    const { spdc, ask } = createBench();
    ask("POWER 1;HVOLT 2;");
    spdc.advance(30);
    // First-order step response: 22 + 24 (1 - 1/e).
    expect(Number(ask("HTEMP?;"))).toBeCloseTo(22 + 24 * (1 - Math.exp(-1)), 2);
    ask("POWER 0;");
    spdc.advance(300);
    expect(Number(ask("HTEMP?;"))).toBeCloseTo(22, 1);
  });

  test("follows HRATE in HTARGET? and settles at the setpoint", () => {
    const { spdc, ask } = createBench();
    ask("POWER 1;HRATE 0.5;HSETTEMP 42;HLOOP 1;");
    spdc.advance(10);
    expect(Number(ask("HTARGET?;"))).toBeCloseTo(22 + 0.5 * 10, 6);
    spdc.advance(590);
    expect(Number(ask("HTARGET?;"))).toBe(42);
    expect(Math.abs(Number(ask("HTEMP?;")) - 42)).toBeLessThan(0.05);
  });

  test("jumps its target with HRATE 0, and holds the last voltage when its loop goes off", () => {
    const { spdc, ask } = createBench();
    ask("POWER 1;HRATE 0;HSETTEMP 50;HLOOP 1;");
    spdc.advance(0.1);
    expect(Number(ask("HTARGET?;"))).toBe(50);
    spdc.advance(600);
    const heldV = ask("HVOLT?;");
    expect(Number(heldV)).toBeGreaterThan(2);
    ask("HLOOP 0;");
    spdc.advance(60);
    expect(ask("HVOLT?;")).toBe(heldV);
    ask("HVOLT 0.000;");
    expect(ask("HVOLT?;")).toBe("0.000\r\n");
  });

  test("the peltier settles too, within its voltage limits", () => {
    const { spdc, ask } = createBench();
    ask("POWER 1;PSETTEMP 30;PLOOP 1;");
    spdc.advance(300);
    expect(Math.abs(Number(ask("PTEMP?;")) - 30)).toBeLessThan(0.05);
    expect(Math.abs(Number(ask("PVOLT?;")))).toBeLessThanOrEqual(2.5);
  });
});
