import type { Reporter, TestModule } from "vitest/node";

/** Prints the totals as one plain line, for people and programs that read only the end of a log. */
export default class CountReporter implements Reporter {
  onTestRunEnd(testModules: readonly TestModule[]): void {
    const totals = { passed: 0, failed: 0, skipped: 0 };
    for (const testModule of testModules) {
      if (testModule.state() === "failed" && testModule.errors().length > 0) totals.failed += 1;
      for (const test of testModule.children.allTests()) {
        const { state } = test.result();
        if (state !== "pending") totals[state] += 1;
      }
    }
    process.stdout.write(
      `\n${totals.passed} passed, ${totals.failed} failed, ${totals.skipped} skipped\n`,
    );
  }
}
