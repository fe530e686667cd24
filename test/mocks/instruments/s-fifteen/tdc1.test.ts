import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { Tdc1, type Tdc1Options } from "../../../../mocks/instruments/s-fifteen/tdc1.ts";

const ticksPerMs = 500_000;
const box: Tdc1Options = {
  serialNumber: "TDC1-0020",
  fifoTags: 4096,
  tagsPerSecondMax: 1e7,
  ticksPerSecond: 5e8,
  startTick: 0,
};

class Bench {
  readonly tdc1: Tdc1;
  constructor(options: Partial<Tdc1Options> = {}) {
    this.tdc1 = new Tdc1({ ...box, ...options });
  }
  send(text: string): void {
    this.tdc1.receive(Buffer.from(text));
  }
  click(...clicks: readonly (readonly [tick: number, input: number])[]): void {
    this.tdc1.addClicks(
      Float64Array.from(clicks, ([tick]) => tick),
      Uint8Array.from(clicks, ([, input]) => input),
      clicks.length,
    );
  }
  receive(bytesMax = Number.POSITIVE_INFINITY): Buffer {
    const pieces: Buffer[] = [];
    for (let left = bytesMax; left > 0; ) {
      const ready = this.tdc1.peek().subarray(0, left);
      if (ready.length === 0) break;
      pieces.push(Buffer.from(ready));
      left -= ready.length;
      this.tdc1.take(ready.length);
    }
    return Buffer.concat(pieces);
  }
  ask(text: string): string {
    this.send(text);
    return this.receive().toString("latin1");
  }
}
const wordsIn = (bytes: Buffer): number[] =>
  Array.from({ length: bytes.length / 4 }, (_, index) => bytes.readUInt32LE(4 * index));

const start = "*RST;NIM;time 0;timestamp;counts?\r\n";

describe("timestamp words", () => {
  test.each([
    ["input 2 at tick 1", 1, [1], "22000000"],
    ["input 3 at 1000 ns", 500, [2], "843e0000"],
    ["inputs 1 and 3 in one tick", 12_345_678, [0, 2], "c5298c17"],
    ["input 4 at the last tick before the rollover", 134_217_727, [3], "e8ffffff"],
  ])("%s give the bytes of the sheet", (_name, tick, clicks, hex) => {
    const bench = new Bench({ startTick: Math.max(0, tick - 1) });
    bench.send(start);
    bench.click(...clicks.map((input) => [tick, input] as const));
    bench.tdc1.advance(tick + 1000);
    bench.send("inpkt\n");
    expect(bench.receive().toString("hex")).toBe(hex);
  });

  test("dummies are 2^26 ticks apart across the rollover, as in the captured stream", () => {
    const bench = new Bench({ startTick: 3960 });
    bench.send(start);
    bench.tdc1.advance(3960 + 2 ** 27 + 10);
    bench.send("inpkt;");
    expect(bench.receive().toString("hex")).toBe("11ef018011ef0100");
  });

  test("a click puts the next dummy off", () => {
    const bench = new Bench();
    bench.send(start);
    bench.click([1_000_000, 0]);
    bench.tdc1.advance(2 ** 26 + 999_999);
    bench.send("inpkt;");
    expect(wordsIn(bench.receive())).toEqual([(1_000_000 << 5) | 1]);
    bench.tdc1.advance(2 ** 26 + 1_000_000);
    bench.send("inpkt;");
    expect(wordsIn(bench.receive())).toEqual([(((2 ** 26 + 1_000_000) << 5) | 0x11) >>> 0]);
  });

  test("time goes on modulo 2^27 from a negative clock to beyond 2^32 ticks", () => {
    for (const tick of [-5, -1, 2 ** 27, 2 ** 32 + 7, 2 ** 45 + 3]) {
      const bench = new Bench({ startTick: tick - 1 });
      bench.send(start);
      bench.click([tick, 0]);
      bench.tdc1.advance(tick + 1000);
      bench.send("inpkt;");
      const time = Number(BigInt.asUintN(27, BigInt(tick)));
      expect(wordsIn(bench.receive())).toEqual([time * 32 + 1]);
    }
  });

  test("clicks of one tick share a word however the frames cut them", () => {
    const bench = new Bench();
    bench.send(start);
    bench.click([100, 0], [100, 3]);
    bench.click([100, 1], [101, 2], [101, 2]);
    bench.tdc1.advance(5000);
    bench.send("inpkt;");
    expect(wordsIn(bench.receive())).toEqual([100 * 32 + 0b1011, 101 * 32 + 0b0100]);
  });

  test("an input that the box does not have makes no word", () => {
    const bench = new Bench();
    bench.send(start);
    bench.click([100, 4], [200, 255]);
    bench.tdc1.advance(5000);
    bench.send("inpkt;");
    expect(bench.receive()).toHaveLength(0);
  });
});

describe("packets", () => {
  const fill = (bench: Bench, words: number): void => {
    bench.click(...Array.from({ length: words }, (_, index) => [1000 + index, 0] as const));
    bench.tdc1.advance(ticksPerMs);
  };

  test("words wait until 512 bytes are full", () => {
    const bench = new Bench();
    bench.send(start);
    fill(bench, 127);
    expect(bench.receive()).toHaveLength(0);
    bench.click([ticksPerMs, 1]);
    bench.tdc1.advance(2 * ticksPerMs);
    expect(bench.receive()).toHaveLength(512);
  });

  test.each(["INPKT", "ABORT"])("%s sends the partly filled one", (command) => {
    const bench = new Bench();
    bench.send(start);
    fill(bench, 130);
    expect(bench.receive()).toHaveLength(512);
    bench.send(`${command}\n`);
    expect(bench.receive()).toHaveLength(8);
  });

  test("after ABORT the FIFO is emptied first and STATUS? ends the stream with its 7 bytes", () => {
    const bench = new Bench({ tagsPerSecondMax: 100_000 });
    bench.send(start);
    fill(bench, 3000);
    bench.send("abort;status?\r\n");
    for (let ms = 2; ms < 100; ms++) bench.tdc1.advance(ms * ticksPerMs);
    const bytes = bench.receive();
    bench.tdc1.advance(100 * ticksPerMs);
    const all = Buffer.concat([bytes, bench.receive()]);
    expect(all).toHaveLength(4 * 3000 + 7);
    expect(all.subarray(-7).toString()).toBe("0000 \r\n");
    expect(wordsIn(all.subarray(0, -7))[2999]).toBe(3999 * 32 + 1);
  });

  test("clicks before COUNTS? and after ABORT are not seen", () => {
    const bench = new Bench();
    bench.click([10, 0]);
    bench.tdc1.advance(1000);
    bench.send(start);
    bench.click([1500, 1]);
    bench.tdc1.advance(2000);
    bench.send("abort;");
    bench.click([2500, 2]);
    bench.tdc1.advance(200_000);
    expect(wordsIn(bench.receive())).toEqual([1500 * 32 + 2]);
  });

  test("a gate of TIME ms ends the stream at its own tick", () => {
    const bench = new Bench();
    bench.send("timestamp;time 2;counts?\n");
    bench.click([2 * ticksPerMs - 1, 0], [2 * ticksPerMs, 0]);
    bench.tdc1.advance(3 * ticksPerMs);
    expect(wordsIn(bench.receive())).toEqual([(2 * ticksPerMs - 1) * 32 + 1]);
  });
});

describe("overflow", () => {
  test("loses what the FIFO cannot hold, silently, and admits it in STATUS? until *RST", () => {
    const bench = new Bench({ fifoTags: 256 });
    bench.send(start);
    const clicks = 10_000;
    for (let at = 0; at < clicks; at += 100) {
      bench.click(...Array.from({ length: 100 }, (_, i) => [1000 + (at + i) * 50, 0] as const));
      bench.tdc1.advance(1000 + (at + 100) * 50);
    }
    const { clicksTaken, clicksLost } = bench.tdc1.counters;
    // 16 packets of 128 words fill while the host takes nothing, then the FIFO.
    expect(clicksTaken).toBe(clicks);
    expect(clicksLost).toBe(clicks - 16 * 128 - 256);
    bench.send("abort;status?\n");
    const first = bench.receive();
    bench.tdc1.advance(ticksPerMs * 100);
    const bytes = Buffer.concat([first, bench.receive()]);
    expect(bytes.subarray(-7).toString()).toBe("0010 \r\n");
    const words = wordsIn(bytes.subarray(0, -7));
    expect(words).toHaveLength(clicks - clicksLost);
    expect(words).toEqual(words.map((_, index) => (1000 + index * 50) * 32 + 1));
    expect(bench.ask("*rst;status?\n")).toBe("0000 \r\n");
  });

  test("sets in as soon as clicks come faster than the connection carries them", () => {
    const bench = new Bench({ fifoTags: 64, tagsPerSecondMax: 100_000 });
    bench.send(start);
    for (let at = 0; at < 20_000; at += 10) {
      bench.click(...Array.from({ length: 10 }, (_, i) => [(at + i) * 2500, 0] as const));
      bench.tdc1.advance((at + 10) * 2500);
      bench.receive();
    }
    // In 100 ms come 20,000 words, 10,000 are carried, and 64 are held at the end.
    const { clicksLost } = bench.tdc1.counters;
    expect(clicksLost).toBeGreaterThanOrEqual(20_000 - 10_000 - 64);
    expect(clicksLost).toBeLessThanOrEqual(20_000 - 10_000 - 64 + 10);
  });

  test("a controller that was idle or held up catches up by 50 ms of words at most", () => {
    const bench = new Bench({ fifoTags: 65_536, tagsPerSecondMax: 100_000 });
    bench.send(start);
    bench.tdc1.isStalled = true;
    bench.tdc1.advance(ticksPerMs * 2_000);
    const from = ticksPerMs * 2_000;
    bench.click(...Array.from({ length: 20_000 }, (_, i) => [from + i, 0] as const));
    bench.tdc1.advance(from + 20_000);
    bench.tdc1.isStalled = false;
    // 2 s of credit would be 200,000 words: all of them at once.
    const atOnce = wordsIn(bench.receive()).length;
    expect(atOnce).toBeGreaterThan(4_500);
    expect(atOnce).toBeLessThan(5_500);
    bench.tdc1.advance(from + 20_000 + ticksPerMs * 10);
    expect(wordsIn(bench.receive()).length).toBeLessThan(1_200);
  });

  test("a stalled controller fills the FIFO and goes on when it is freed", () => {
    const bench = new Bench({ fifoTags: 64 });
    bench.send(start);
    bench.tdc1.isStalled = true;
    bench.click(...Array.from({ length: 100 }, (_, i) => [100 + i, 0] as const));
    bench.tdc1.advance(ticksPerMs);
    expect(bench.tdc1.counters).toMatchObject({ clicksLost: 36, wordsHeld: 64 });
    bench.tdc1.isStalled = false;
    expect(bench.ask("abort;status?\n")).toHaveLength(64 * 4 + 7);
  });
});

test("the slip fault takes two bytes out of the stream and leaves the rest", () => {
  const bench = new Bench();
  bench.send(start);
  bench.click(...Array.from({ length: 128 }, (_, index) => [1000 + index, 0] as const));
  bench.tdc1.slip(2);
  bench.tdc1.advance(ticksPerMs);
  const bytes = bench.receive();
  expect(bytes).toHaveLength(510);
  expect(bytes.readUInt32LE(2)).toBe(1001 * 32 + 1);
});

describe("counting", () => {
  test("SINGLES gives four counts when the gate ends, not before", () => {
    const bench = new Bench();
    bench.send("singles;time 10;counts?\n");
    bench.click([5, 0], [6, 0], [7, 1], [4_999_999, 3], [5_000_000, 3]);
    bench.tdc1.advance(10 * ticksPerMs - 1);
    expect(bench.receive()).toHaveLength(0);
    bench.tdc1.advance(10 * ticksPerMs);
    expect(bench.receive().toString()).toBe("2 1 0 1\r\n");
  });

  test("PAIRS adds the coincidences of 1-3, 1-4, 2-3 and 2-4", () => {
    const bench = new Bench();
    bench.send("pairs;time 1;counts?\n");
    bench.click(
      [1, 0],
      [1, 2],
      [9, 0],
      [9, 3],
      [20, 1],
      [20, 2],
      [30, 1],
      [30, 3],
      [40, 0],
      [40, 1],
    );
    bench.tdc1.advance(ticksPerMs);
    expect(bench.receive().toString()).toBe("3 3 2 2 1 1 1 1\r\n");
  });

  test("a second gate counts from zero, and ABORT ends a gate without counts", () => {
    const bench = new Bench();
    bench.send("singles;time 1;counts?\n");
    bench.click([1, 0]);
    bench.tdc1.advance(ticksPerMs);
    expect(bench.receive().toString()).toBe("1 0 0 0\r\n");
    bench.send("counts?\n");
    bench.tdc1.advance(2 * ticksPerMs);
    expect(bench.receive().toString()).toBe("0 0 0 0\r\n");
    bench.send("counts?;abort\n");
    bench.tdc1.advance(9 * ticksPerMs);
    expect(bench.receive()).toHaveLength(0);
  });
});

describe("commands", () => {
  test.each([
    ["*IDN?\r\n", "S-Fifteen TDC1, TDC1-0020\r\n"],
    ["mode?;", "0\r\n"],
    ["Pairs;MoDe?\n", "1\r\n"],
    ["timestamp\r\nmode?\r\n", "3\r\n"],
    ["TIME 32767;TIME?\n", "32767\r\n"],
    ["TIME 32768;TIME?\n", "-32768\r\n"],
    ["time 65535;time?\n", "-1\r\n"],
    ["time 0;time?\n", "0\r\n"],
    ["time 65536;time?\n", "Unknown command\r\n1000\r\n"],
    ["time 1.5\n", "Unknown command\r\n"],
    ["time -1\n", "Unknown command\r\n"],
    ["NIM;LEVEL?\n", "-0.500 V\r\n"],
    ["TTL;LEVEL?\n", "1.000 V\r\n"],
    ["POS 1.25;LEVEL?\n", "1.250 V\r\n"],
    ["NEG 0.3;LEVEL?\n", "-0.300 V\r\n"],
    ["NEG -0.3;LEVEL?\n", "-0.300 V\r\n"],
    ["POS 3.4\n", "Unknown command\r\n"],
    ["REFCLK 2;REFCLK?;ECLOCK?\n", "2\r\n0\r\n"],
    ["REFCLK 3\n", "Unknown command\r\n"],
    ["STATUS?\n", "0000 \r\n"],
    ["BOGUS\n", "Unknown command\r\n"],
    ["BOGUS 1 2\n", "Unknown command\r\n"],
    ["\r\n\r\n;;\n", ""],
    ["*IDN?", ""],
  ])("%j is answered %j", (sent, answer) => {
    expect(new Bench().ask(sent)).toBe(answer);
  });

  test("HELP has several lines", () => {
    expect(new Bench().ask("help\n").split("\r\n").length).toBeGreaterThan(3);
  });

  test("every split of a conversation gives the same replies", () => {
    const sent = "\r\n*idn?\r\nTIME 40000;time?;pairs;MODE?\nneg 0.7;level?;nonsense\r\nstatus?;";
    const whole = new Bench().ask(sent);
    expect(whole).toContain("-25536");
    for (let cut = 0; cut <= sent.length; cut++) {
      const bench = new Bench();
      expect(bench.ask(sent.slice(0, cut)) + bench.ask(sent.slice(cut))).toBe(whole);
    }
    const bytewise = new Bench();
    expect([...sent].map((letter) => bytewise.ask(letter)).join("")).toBe(whole);
  });

  test("more than 255 bytes without a terminator are dropped, and what follows is heard", () => {
    const bench = new Bench();
    expect(bench.ask(`${"x".repeat(300)}\nmode?\n`)).toBe("0\r\n");
    expect(bench.ask(`${" ".repeat(250)}mode?\n`)).toBe("0\r\n");
  });

  test("any bytes leave it answering, with bounded replies", () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 400 }), { maxLength: 8 }), (chunks) => {
        const bench = new Bench();
        for (const chunk of chunks) bench.tdc1.receive(chunk);
        bench.tdc1.advance(100 * ticksPerMs);
        expect(bench.tdc1.peek().length).toBeLessThanOrEqual(16 * 512);
        bench.receive();
        expect(bench.ask("\r\n*rst;*idn?\r\n")).toMatch(/TDC1-0020\r\n$/);
      }),
      { seed: 15 },
    );
  });
});
