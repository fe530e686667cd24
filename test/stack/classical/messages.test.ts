import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { z } from "zod";
import { isLabError } from "../../../hal/errors.ts";
import { createVirtualClock } from "../../../mocks/virtual-clock.ts";
import { createInProcessChannel } from "../../../stack/classical/in-process-channel.ts";
import {
  decodeMessage,
  encodeMessage,
  layerHeader,
} from "../../../stack/classical/message-codec.ts";
import { openMessagePort } from "../../../stack/classical/message-port.ts";
import { FrameSplitter, messageFrame } from "../../../stack/classical/tcp-frames.ts";

const clock = createVirtualClock();
const turn = (): void => clock.advance(0);

describe("messages", () => {
  it("encodes bigints as bignums of RFC 8949, appendix A", () => {
    // 18446744073709551616 and its negative neighbour, from the appendix's table.
    expect(Buffer.from(encodeMessage(2n ** 64n)).toString("hex")).toBe("c249010000000000000000");
    expect(Buffer.from(encodeMessage(-(2n ** 64n) - 1n)).toString("hex")).toBe(
      "c349010000000000000000",
    );
  });

  it("gives back what was sent, bigints as bigints and numbers as numbers", () => {
    fc.assert(
      fc.property(
        fc.bigInt(),
        fc.double({ noNaN: true, noDefaultInfinity: true }),
        fc.string(),
        fc.uint8Array(),
        (a, b, c, d) => {
          expect(
            decodeMessage(encodeMessage({ a, b: b + 0, c, d, list: [a, null, true] })),
          ).toEqual({ a, b: b + 0, c, d, list: [a, null, true] });
        },
      ),
    );
  });

  it("answers any bytes with a value or channel.malformed", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 64 }), (bytes) => {
        try {
          decodeMessage(bytes);
        } catch (error) {
          expect(isLabError(error, "channel.malformed")).toBe(true);
        }
      }),
      { numRuns: 2_000 },
    );
  });

  it("keeps layers apart on one channel, and counts what does not match", () => {
    const [a, b] = createInProcessChannel({ ends: ["a", "b"], clock });
    const schema = z.object({ value: z.bigint() });
    const [linkA, keyA] = [openMessagePort(a, "link", schema), openMessagePort(a, "key", schema)];
    const [linkB, keyB] = [openMessagePort(b, "link", schema), openMessagePort(b, "key", schema)];
    const got: string[] = [];
    linkB.received$.subscribe(({ value }) => got.push(`link ${value}`));
    keyB.received$.subscribe(({ value }) => got.push(`key ${value}`));
    linkA.send({ value: 1n });
    keyA.send({ value: 2n });
    a.send(Uint8Array.of(...layerHeader("link"), ...encodeMessage({ value: 3 })));
    a.send(Uint8Array.of(...layerHeader("link"), 0xff));
    linkA.send({ value: 4n });
    expect(got).toEqual([]);
    turn();
    expect(got).toEqual(["link 1", "key 2", "link 4"]);
    expect([linkB.malformed, keyB.malformed]).toEqual([2, 0]);
  });
});

describe("an in-process channel", () => {
  it("copies messages: what the sender changes afterwards does not arrive", () => {
    const [a, b] = createInProcessChannel({ ends: ["a", "b"], clock });
    const got: number[][] = [];
    b.received$.subscribe((bytes) => got.push([...bytes]));
    const message = Uint8Array.of(1, 2);
    a.send(message);
    message[0] = 9;
    expect(a.queuedBytes).toBe(2);
    turn();
    expect(got).toEqual([[1, 2]]);
    expect(a.queuedBytes).toBe(0);
  });

  it("closes at both ends, and closes when its queue would pass its bound", () => {
    const [a, b] = createInProcessChannel({ ends: ["a", "b"], clock, queuedBytesMax: 10 });
    const states: string[] = [];
    b.state$.subscribe(({ state, reason }) => states.push(`${state} ${reason ?? ""}`));
    a.send(new Uint8Array(8));
    expect(() => a.send(new Uint8Array(8))).toThrow(/closed/);
    turn();
    expect(states).toEqual(["open ", "closed b did not keep up: 10 bytes were waiting for it"]);
    expect(() => b.send(new Uint8Array(1))).toThrow(/closed/);
  });
});

it("cuts frames alike for every split of the bytes", () => {
  const frames = [
    messageFrame(0n, Uint8Array.of(1, 2, 3)),
    messageFrame(1n, new Uint8Array(0)),
    messageFrame(2n ** 40n, new Uint8Array(300)),
  ];
  const bytes = Buffer.concat(frames);
  const whole = new FrameSplitter(1_000)
    .push(bytes)
    .map(({ kind, payload }) => [kind, [...payload]]);
  expect(whole).toHaveLength(3);
  for (let cut = 0; cut <= bytes.length; cut++) {
    const splitter = new FrameSplitter(1_000);
    const parts = [...splitter.push(bytes.subarray(0, cut)), ...splitter.push(bytes.subarray(cut))];
    expect(parts.map(({ kind, payload }) => [kind, [...payload]])).toEqual(whole);
  }
});
