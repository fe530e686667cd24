import { readFileSync } from "node:fs";

/**
 * Compiles one folder's kernels. Compile once a process and hand the module to workers: instantiating is cheap.
 * `wasmUrl` is `new URL("./kernels/kernels.wasm", import.meta.url)` in the folder that owns them.
 */
export const compileKernels = (wasmUrl: URL): WebAssembly.Module =>
  new WebAssembly.Module(readFileSync(wasmUrl));

/**
 * Instantiates kernels on a memory. `Exports` names the functions that the module exports; addresses are
 * byte offsets into that memory. Kernels keep no state between instances but what their callers give them.
 */
export function instantiateKernels<Exports>(
  kernels: WebAssembly.Module,
  memory: WebAssembly.Memory,
): Exports {
  const instance = new WebAssembly.Instance(kernels, {
    env: {
      memory,
      abort: () => {
        throw new TypeError("a kernel was called with arguments it does not accept");
      },
    },
  });
  return instance.exports as unknown as Exports;
}
