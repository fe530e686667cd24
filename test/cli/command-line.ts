import { spawn } from "node:child_process";
import { fileURLToPath } from "node:url";
import { entryPointUrl } from "../../hal/entry-point.ts";

/** What a run of the built command line left behind. */
export interface CommandResult {
  readonly exitCode: number | null;
  readonly output: string;
  readonly errors: string;
}

/** Runs the built command line as a child process and waits for its end. */
export function bellwether(...commandArguments: readonly string[]): Promise<CommandResult> {
  const program = fileURLToPath(entryPointUrl("#cli/main"));
  const child = spawn(process.execPath, [program, ...commandArguments], {
    stdio: ["ignore", "pipe", "pipe"],
  });
  let output = "";
  let errors = "";
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    output += text;
  });
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    errors += text;
  });
  return new Promise((resolve, reject) => {
    child.on("error", reject);
    child.on("close", (exitCode) => resolve({ exitCode, output, errors }));
  });
}
