import fc from "fast-check";
import { expect, test } from "vitest";
import { LabError } from "../../../hal/errors.ts";
import { takeLines } from "../../../hal/links/framing.ts";
import {
  initialLineState,
  type LineEffect,
  type LineInput,
  type LineState,
  stepLines,
} from "../../../hal/links/line-transaction.ts";

const marker = {
  text: "*IDN?\r\n",
  isReply: (line: string) => line.includes("TDC1"),
  timeoutMs: 100,
};
const isNumber = (line: string): boolean => /^\d+$/.test(line);
const ask = (id: number, text = `Q${id}?\r\n`): LineInput => ({
  type: "ask",
  query: { id, text, isReply: isNumber, timeoutMs: 100 },
});
const bytes = (text: string): LineInput => ({ type: "bytes", bytes: Buffer.from(text, "latin1") });

/** Plays a conversation and gives everything it caused. */
function play(inputs: readonly LineInput[]): { state: LineState; effects: LineEffect[] } {
  let state = initialLineState(marker);
  const effects: LineEffect[] = [];
  for (const input of inputs) {
    const step = stepLines(state, input);
    state = step.state;
    effects.push(...step.effects);
  }
  return { state, effects };
}
const writes = (effects: readonly LineEffect[]): string[] =>
  effects.flatMap((effect) => (effect.type === "write" ? [effect.text] : []));
const outcomes = (effects: readonly LineEffect[]): string[] =>
  effects.flatMap((effect) => {
    if (effect.type === "answer") return [`${effect.id}=${effect.reply}`];
    return effect.type === "fail" ? [`${effect.id}!${effect.error.code}`] : [];
  });

test("keeps one query in flight and answers in order", () => {
  const { effects } = play([ask(1), ask(2), bytes("11\r\n"), bytes("22\r\n")]);
  expect(writes(effects)).toEqual(["Q1?\r\n", "Q2?\r\n"]);
  expect(outcomes(effects)).toEqual(["1=11", "2=22"]);
});

test("pairs replies alike wherever the bytes are split", () => {
  const text = "Invalid argument\r\n11\r\n";
  for (let cut = 0; cut <= text.length; cut++) {
    const { effects } = play([ask(1), bytes(text.slice(0, cut)), bytes(text.slice(cut))]);
    expect(effects).toContainEqual({
      ...{ type: "answer", id: 1, reply: "11", remarks: ["Invalid argument"] },
    });
  }
});

test("never pairs a late reply with a later query", () => {
  const { effects } = play([
    ask(1),
    { type: "expired" },
    ask(2),
    bytes("11\r\n"),
    bytes("S-Fifteen TDC1\r\n"),
    bytes("22\r\n"),
  ]);
  expect(writes(effects)).toEqual(["Q1?\r\n", "*IDN?\r\n", "Q2?\r\n"]);
  expect(outcomes(effects)).toEqual(["1!link.timeout", "2=22"]);
});

test("drops the reply of a marker that was given up, wherever it comes", () => {
  const { effects } = play([
    ask(1),
    { type: "expired" },
    ask(2),
    { type: "expired" },
    ask(3),
    bytes("S-Fifteen TDC1\r\n"),
    bytes("S-Fifteen TDC1\r\n33\r\n"),
  ]);
  expect(outcomes(effects)).toEqual(["1!link.timeout", "2!link.timeout", "3=33"]);
});

test("says what was received when it is no reply", () => {
  const { effects } = play([ask(1), bytes("Unknown command\r\n"), { type: "expired" }]);
  expect(outcomes(effects)).toEqual(["1!protocol.unexpected-reply"]);
  expect(JSON.stringify(effects)).toContain("Unknown command");
});

test("bounds its queue", () => {
  const inputs = Array.from({ length: 40 }, (_, index) => ask(index + 1));
  const { effects, state } = play(inputs);
  expect(state.queue).toHaveLength(32);
  expect(outcomes(effects)).toEqual(
    Array.from({ length: 8 }, (_, index) => `${33 + index}!link.busy`),
  );
});

test("fails everything that waits when the port closes, and later queries at once", () => {
  const error = new LabError("link.disconnected", "gone");
  const { effects } = play([ask(1), ask(2), { type: "closed", error }, ask(3)]);
  expect(outcomes(effects)).toEqual([
    "1!link.disconnected",
    "2!link.disconnected",
    "3!link.closed",
  ]);
});

test("settles every query exactly once, whatever arrives", () => {
  const inputs = fc.array(
    fc.oneof(
      fc.constant("ask"),
      fc.constant({ type: "expired" } as const),
      fc.constantFrom("1\r\n", "x\r\n", "TDC1\r\n", "\n", "\r", "1").map(bytes),
      fc.uint8Array({ maxLength: 20 }).map((value): LineInput => ({ type: "bytes", bytes: value })),
    ),
    { maxLength: 60 },
  );
  fc.assert(
    fc.property(inputs, (script) => {
      let id = 0;
      const error = new LabError("link.closed", "end");
      const played = script.map((input) => (input === "ask" ? ask(++id) : input) as LineInput);
      const { effects } = play([...played, { type: "closed", error }]);
      const settled = effects.flatMap((effect) =>
        effect.type === "answer" || effect.type === "fail" ? [effect.id] : [],
      );
      expect(settled.toSorted((a, b) => a - b)).toEqual(
        Array.from({ length: id }, (_, i) => i + 1),
      );
    }),
  );
});

test("cuts lines at LF and CR LF, and bounds an endless one", () => {
  expect(takeLines("ab", Buffer.from("c\r\n\nd"), 10)).toEqual({ lines: ["abc", ""], tail: "d" });
  expect(takeLines("", Buffer.alloc(11, 65), 10)).toEqual({ lines: ["A".repeat(11)], tail: "" });
});
