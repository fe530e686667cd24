/**
 * What the two ends of a photonic link say to each other, version 1.
 *
 *     announcer -> matcher   open           proposes an incarnation, repeated until accepted
 *     matcher -> announcer   accept         the incarnation is agreed; or
 *                            refuse         the stations differ, with the reason
 *     announcer -> matcher   announcement   times and bases of one block, never outcomes
 *     matcher -> announcer   report         the answer to each announcement, in order
 *     matcher -> announcer   status         clock and metrics, for the announcer's users
 *     either                 reset          what came was out of order: open a new incarnation
 *
 * The incarnation is a hash over both ends' random nonces: fresh if either end's is.
 */
import { createHash } from "node:crypto";
import { z } from "zod";
import { announcementSchema, linkLossSchema, reportSchema } from "../physical/announcement.ts";

export const linkProtocolVersion = 1;

const nonceSchema = z.string().regex(/^[0-9a-f]{32}$/);
const incarnationSchema = z.string().regex(/^[0-9a-f]{16}$/);
const reasonSchema = z.string().max(300);
const psSchema = z
  .bigint()
  .min(-(2n ** 63n))
  .max(2n ** 63n - 1n);
const estimateSchema = z.object({ value: z.number(), uncertainty: z.number() });

/** The clock of a link: matcher minus announcer. */
export const linkClockSchema = z.object({
  /** By both ends' UTC labels, with fibre delays: label(matcher) - label(announcer) at the reference. */
  offsetPs: psSchema,
  driftPpb: z.number(),
  uncertaintyPs: z.number(),
  driftUncertaintyPpb: z.number(),
});
export type LinkClock = Readonly<z.output<typeof linkClockSchema>>;

/** See stack/physical/link-metrics.ts; `local` is the matcher. */
const metricsSchema = z.object({
  liveS: z.number(),
  coincidences: z.number().int(),
  coincidenceRateHz: estimateSchema,
  accidentalRateHz: estimateSchema,
  accidentalRateFromSinglesHz: z.number(),
  car: estimateSchema.nullable(),
  jitterPsFwhm: estimateSchema.nullable(),
  localSinglesHz: estimateSchema,
  remoteSinglesHz: estimateSchema,
  localHerald: estimateSchema.nullable(),
  remoteHerald: estimateSchema.nullable(),
  localLossDb: estimateSchema.nullable(),
  remoteLossDb: estimateSchema.nullable(),
  histogram: z.object({
    fromPs: z.number(),
    binPs: z.number(),
    counts: z.array(z.number().int()).max(1_000).readonly(),
    windowPs: z.number(),
  }),
});

/** What the matcher tells of the physical layer. */
export const linkStatusSchema = z.discriminatedUnion("kind", [
  z.object({ kind: z.literal("searching") }),
  z.object({ kind: z.literal("locked"), clock: linkClockSchema }),
  z.object({ kind: z.literal("lost"), reason: reasonSchema }),
  z.object({ kind: z.literal("metrics"), clock: linkClockSchema, metrics: metricsSchema }),
  z.object({
    kind: z.literal("loss"),
    loss: linkLossSchema,
    end: z.enum(["announcer", "matcher"]),
  }),
]);
export type LinkStatus = Readonly<z.output<typeof linkStatusSchema>>;

export const linkMessageSchema = z.discriminatedUnion("type", [
  z.object({
    type: z.literal("open"),
    version: z.number().int(),
    nonce: nonceSchema,
    link: z.string().max(64),
    windowPs: psSchema,
    /** UTC in ps since 1970 has 22 digits: beyond 64 bits. */
    epochPs: z
      .bigint()
      .min(0n)
      .max(10n ** 24n),
    tickPs: z
      .bigint()
      .min(1n)
      .max(2n ** 40n),
  }),
  z.object({
    type: z.literal("accept"),
    nonce: nonceSchema,
    matcherNonce: nonceSchema,
  }),
  z.object({ type: z.literal("refuse"), nonce: nonceSchema, reason: reasonSchema }),
  z.object({ type: z.literal("reset"), incarnation: incarnationSchema, reason: reasonSchema }),
  z.object({
    type: z.literal("announcement"),
    incarnation: incarnationSchema,
    body: announcementSchema,
  }),
  z.object({ type: z.literal("report"), incarnation: incarnationSchema, body: reportSchema }),
  z.object({ type: z.literal("status"), incarnation: incarnationSchema, body: linkStatusSchema }),
]);
export type LinkMessage = z.output<typeof linkMessageSchema>;

/** Gives the incarnation that two nonces agree on: 16 hex digits of SHA-256. */
export const incarnationOf = (link: string, nonce: string, matcherNonce: string): string =>
  createHash("sha256")
    .update(`bellwether link incarnation\0${link}\0${nonce}\0${matcherNonce}`)
    .digest("hex")
    .slice(0, 16);
