/** Takes secrets out of texts that leave the machine. It would rather take too much. */

const leftOut = "[left out]";
const secretName = String.raw`[\w.-]*(?:secret|password|passphrase|token|credential|private[-_]?key|api[-_]?key|authorization)[\w.-]*`;

/** `key: value` alone on its line, and a block of deeper lines below it, as YAML writes long values. */
const secretLine = new RegExp(
  String.raw`^([ \t]*)((?:- )?["']?${secretName}["']?[ \t]*:)[^\n]*(?:\n\1[ \t]+[^\n]*)*`,
  "gim",
);
/** `"key":"value"`, `key=value`, `{ key: value }` anywhere in a line. */
const secretPair = new RegExp(
  String.raw`(["']?\b${secretName}["']?\s*[:=]\s*)("(?:[^"\\]|\\.)*"|'[^']*'|[^\s,;&}"']+)`,
  "gi",
);
const pemBlock = /-----BEGIN ([A-Z ]*PRIVATE KEY)-----[\s\S]*?(?:-----END \1-----|$(?![\s\S]))/g;
const userInUrl = /(\b[a-z][a-z0-9+.-]*:\/\/)[^/\s:@]+:[^/\s@]+@/gi;

/** Gives the text without values whose name, form or place says that they are secret. */
export const withoutSecrets = (text: string): string =>
  text
    .replaceAll(pemBlock, leftOut)
    .replaceAll(userInUrl, `$1${leftOut}@`)
    .replaceAll(secretLine, `$1$2 ${leftOut}`)
    .replaceAll(secretPair, (pair: string, name: string, value: string) =>
      value.startsWith("[left") ? pair : `${name}${leftOut}`,
    );
