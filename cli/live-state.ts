/** What a running station shows of itself: the page and scripts read it; times are UTC in ISO 8601, picoseconds are decimal strings. */
export interface LiveState {
  readonly station: string;
  readonly startedAt: string;
  readonly at: string;
  readonly nodes: readonly NodeState[];
  readonly links: readonly LinkState[];
}

/** An estimate with its standard uncertainty (k = 1). */
export interface Estimate {
  readonly value: number;
  readonly uncertainty: number;
}

/** One node: its instruments, its detectors, and what was lost. */
export interface NodeState {
  readonly name: string;
  readonly devices: readonly {
    readonly name: string;
    readonly driver: string;
    readonly role: string;
    readonly port: string;
    readonly state: "opening" | "ready" | "active" | "closed" | "disconnected" | "faulted";
    readonly since: string;
    readonly message: string | null;
  }[];
  readonly detectors: readonly {
    readonly name: string;
    readonly channel: number;
    readonly basis: "z" | "x";
    readonly outcome: 0 | 1;
    readonly singlesRateHz: Estimate | null;
    /** Taken before the sources were switched on; null where they were not this process's to switch. */
    readonly darkCountRateHz: Estimate | null;
  }[];
  /** Tags known to be lost since the start; null when the hardware cannot tell how many. */
  readonly lostTags: number | null;
  readonly losses: readonly {
    readonly fromPs: string;
    readonly toPs: string;
    readonly count: number | null;
    readonly cause: string;
  }[];
}

/** One link between two nodes, as the end that matches sees it. */
export interface LinkState {
  readonly name: string;
  readonly ends: readonly [string, string];
  readonly channel: {
    readonly state: "connecting" | "open" | "closed";
    readonly since: string;
    readonly reason: string | null;
  };
  readonly clock: {
    readonly state: "searching" | "locked" | "lost";
    readonly since: string;
    readonly offsetPs: string | null;
    readonly driftPpb: number | null;
    readonly uncertaintyPs: number | null;
  };
  /** Pairs delivered since the link came up. */
  readonly pairs: number;
  readonly coincidenceRateHz: Estimate | null;
  readonly accidentalRateHz: Estimate | null;
  readonly car: Estimate | null;
  readonly jitterPsFwhm: Estimate | null;
  /** From the source to a click at each end, detector efficiency included: -10 lg of the heralding efficiency. */
  readonly lossDb: { readonly first: Estimate | null; readonly second: Estimate | null };
  /** Coincidences against remote minus local time, of the last seconds. */
  readonly histogram: {
    readonly fromPs: number;
    readonly binPs: number;
    readonly counts: readonly number[];
    readonly windowPs: number;
  } | null;
  readonly visibility: { readonly z: Estimate | null; readonly x: Estimate | null };
  readonly qber: Estimate | null;
  readonly siftedRateHz: number | null;
  readonly secretRateHz: number | null;
  readonly secretBits: number;
  readonly keys: readonly {
    readonly keyId: string;
    readonly fingerprint: string;
    readonly bits: number;
    readonly at: string;
    readonly identical: boolean;
  }[];
  readonly lagMs: { readonly p50: number; readonly p99: number } | null;
}
