import { expect, it } from "vitest";
import { isLabError, LabError, messageOf } from "../../hal/errors.ts";

it("an error carries its code, its facts and what caused it", () => {
  const cause = new Error("EIO");
  const error = new LabError("link.timeout", "no answer", { details: { timeoutMs: 5 }, cause });
  expect(error).toMatchObject({
    name: "LabError",
    code: "link.timeout",
    details: { timeoutMs: 5 },
  });
  expect(error.cause).toBe(cause);
  expect(new LabError("link.timeout", "no answer")).not.toHaveProperty("cause");
});

it("is told from others by code or by layer, never by a part of a layer's name", () => {
  const error = new LabError("link.timeout", "no answer");
  expect(isLabError(error)).toBe(true);
  expect(isLabError(error, "link.timeout")).toBe(true);
  expect(isLabError(error, "link")).toBe(true);
  expect(isLabError(error, "link.time")).toBe(false);
  expect(isLabError(error, "file")).toBe(false);
  expect(isLabError(new Error("link.timeout"), "link")).toBe(false);
  expect(isLabError({ code: "link.timeout" })).toBe(false);
});

it("gives the message of anything thrown", () => {
  expect(messageOf(new TypeError("wrong"))).toBe("wrong");
  expect(messageOf("text")).toBe("text");
  expect(messageOf(undefined)).toBe("undefined");
});
