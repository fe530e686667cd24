import parser from "typescript-eslint";

/** Two rules only: in hardware control a lost promise is a laser left on. Biome does the rest. */
export default [
  { ignores: ["dist/**", "node_modules/**", "**/kernels/*.ts", "web/**", "scripts/**", "*.mjs"] },
  {
    files: ["**/*.ts"],
    languageOptions: {
      parser: parser.parser,
      parserOptions: { project: "./tsconfig.json", tsconfigRootDir: import.meta.dirname },
    },
    plugins: { "@typescript-eslint": parser.plugin },
    linterOptions: { reportUnusedDisableDirectives: "error" },
    rules: {
      "@typescript-eslint/no-floating-promises": "error",
      "@typescript-eslint/no-misused-promises": "error",
    },
  },
];
