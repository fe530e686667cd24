import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { isLabError } from "../../hal/errors.ts";
import { ps } from "../../hal/units.ts";
import {
  connectLab,
  createLabFrameDecoder,
  encodeLabFrame,
  type LabFrame,
  labSocketAddress,
} from "../../mocks/lab-socket.ts";
import { listenLab } from "../../mocks/physics/lab-server.ts";

const clicks: LabFrame = {
  type: "clicks",
  fromPs: ps(-1n),
  toPs: ps(5_000_000_000n),
  timesPs: BigInt64Array.of(0n, 258n, 4_999_999_999n),
  inputs: Uint8Array.of(3, 0, 1),
};
const frames: readonly LabFrame[] = [
  { type: "hello", instrument: "alice-tagger" },
  { type: "lab", labEpochUtcPs: ps(1_764_064_800_000_000_000_000n) },
  clicks,
  { type: "control", pumpCurrentMa: 30.5 },
  { ...clicks, timesPs: new BigInt64Array(0), inputs: new Uint8Array(0) },
];
const bytesOf = (all: readonly LabFrame[]): Uint8Array => Buffer.concat(all.map(encodeLabFrame));

function decode(portions: readonly Uint8Array[]): LabFrame[] {
  const decoder = createLabFrameDecoder();
  const received: LabFrame[] = [];
  for (const portion of portions) {
    decoder.push(portion, (frame) =>
      received.push(frame.type === "clicks" ? { ...frame, inputs: frame.inputs.slice() } : frame),
    );
  }
  return received;
}

describe("a lab frame", () => {
  it("has the layout of the page: length, type, times, inputs, little-endian", () => {
    const bytes = encodeLabFrame(clicks);
    expect(Buffer.from(bytes).toString("hex")).toBe(
      `33000000${"03"}ffffffffffffffff00f2052a010000000300000000000000` +
        "0000000000000000" +
        "0201000000000000" +
        "fff1052a01000000" +
        "030001",
    );
    expect(
      Buffer.from(encodeLabFrame({ type: "control", pumpCurrentMa: 0 })).toString("latin1"),
    ).toBe('\x13\0\0\0\x04{"pumpCurrentMa":0}');
  });

  it("comes out as it went in, whole, byte by byte, and cut at every point", () => {
    const bytes = bytesOf(frames);
    expect(decode([bytes])).toEqual(frames);
    expect(decode([...bytes].map((byte) => Uint8Array.of(byte)))).toEqual(frames);
    for (let cut = 0; cut <= bytes.length; cut++) {
      expect(decode([bytes.subarray(0, cut), bytes.subarray(cut)])).toEqual(frames);
    }
  });

  it("carries any clicks", () => {
    const time = fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n });
    const click = fc.tuple(time, fc.integer({ min: 0, max: 255 }));
    fc.assert(
      fc.property(time, time, fc.array(click), (fromPs, toPs, all) => {
        const frame: LabFrame = {
          type: "clicks",
          fromPs: ps(fromPs),
          toPs: ps(toPs),
          timesPs: BigInt64Array.from(all.map(([t]) => t)),
          inputs: Uint8Array.from(all.map(([, input]) => input)),
        };
        expect(decode([encodeLabFrame(frame)])).toEqual([frame]);
      }),
      { seed: 13 },
    );
  });

  it("is refused as LabError and nothing else when bytes are no frame", () => {
    const payload = fc.uint8Array({ maxLength: 60 });
    fc.assert(
      fc.property(
        fc.integer({ min: 0, max: 6 }),
        payload,
        fc.boolean(),
        (type, content, isFramed) => {
          const bytes = isFramed
            ? Buffer.concat([Uint8Array.of(content.length, 0, 0, 0, type), content])
            : content;
          try {
            decode([bytes]);
          } catch (error) {
            expect(isLabError(error, "mock.lab-frame")).toBe(true);
          }
        },
      ),
      { seed: 14, numRuns: 500 },
    );
  });

  it.each([
    ["a length beyond the bound", Uint8Array.of(1, 0, 0, 1, 3)],
    ["an unknown type", Uint8Array.of(0, 0, 0, 0, 9)],
    [
      "a count that does not fit",
      Buffer.concat([
        Uint8Array.of(24, 0, 0, 0, 3),
        new Uint8Array(16),
        Uint8Array.of(1, 0, 0, 0, 0, 0, 0, 0),
      ]),
    ],
    ["JSON of another shape", Buffer.from("\x02\0\0\0\x01{}", "latin1")],
    ["a negative current", Buffer.from('\x14\0\0\0\x04{"pumpCurrentMa":-1}', "latin1")],
  ])("with %s is refused", (_, bytes) => {
    expect(() => decode([bytes])).toThrow(
      expect.toSatisfy((error) => isLabError(error, "mock.lab-frame")),
    );
  });
});

describe("a lab socket", () => {
  it("has a path or a TCP address", () => {
    expect(labSocketAddress("/tmp/lab.sock")).toEqual({ path: "/tmp/lab.sock" });
    expect(labSocketAddress("tcp:127.0.0.1:7000")).toEqual({ host: "127.0.0.1", port: 7000 });
  });

  it("takes the light to be off only when the last connection of an instrument has ended", async () => {
    const currents: number[] = [];
    const server = await listenLab("tcp:127.0.0.1:0", {
      instruments: new Set(["source"]),
      labEpochUtcPs: ps(0n),
      onPumpCurrent: (_instrument, currentMa) => currents.push(currentMa),
    });
    try {
      const first = await connectLab(server.socketPath, "source", {});
      const second = await connectLab(server.socketPath, "source", {});
      second.setPumpCurrent(30);
      await expect.poll(() => currents).toEqual([30]);
      first.close();
      second.setPumpCurrent(31);
      await expect.poll(() => currents).toEqual([30, 31]);
      second.close();
      await expect.poll(() => currents).toEqual([30, 31, 0]);
    } finally {
      server.close();
    }
  });

  it("at which nobody listens is told in one sentence", async () => {
    await expect(connectLab("/nonexistent/lab.sock", "alice-tagger", {})).rejects.toThrow(
      "no mock lab answers at /nonexistent/lab.sock",
    );
  });
});
