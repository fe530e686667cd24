import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    // A serial port inside a worker thread aborts the process (libuv's default loop), so tests fork.
    pool: "forks",
    maxWorkers: 2,
    include: ["test/**/*.test.ts"],
    reporters: ["default", "./test/count-reporter.ts"],
    testTimeout: 30_000,
    hookTimeout: 30_000,
  },
});
