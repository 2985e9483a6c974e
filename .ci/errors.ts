/**
 * docs/errors.md is the table of packages/core/src/AuthError.ts, for people.
 *
 *     node .ci/errors.ts [--check]        --check: fail where the page differs instead of writing it
 */
import { table } from "keyfob"
import { readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"

const page = join(import.meta.dirname, "../docs/errors.md")
const rows = Object.entries(table).flatMap(([tag, reasons]) =>
  Object.entries(reasons).map(
    ([reason, { actor, exitCode, remedy, retry, what }]) =>
      `| \`${tag}\` | \`${reason}\` | ${what} | ${retry} | ${actor} | ${exitCode} | ${remedy} |`
  )
)
const text = `# Errors

Every failure of Keyfob is one of these tagged errors with one of its reasons. What follows from it is data: \`adviceOf(error)\`.
This page is made from the table in [AuthError.ts](../packages/core/src/AuthError.ts) by \`npm run docs:errors\`.

| error | reason | what happened | retry | who acts | exit code | remedy |
|---|---|---|---|---|---|---|
${rows.join("\n")}

\`TokenError\`, what asking a token source for a token can fail with, is \`LoginRequired\`, \`ProviderUnavailable\`, \`ProviderRefused\`,
\`AnswerRejected\`, \`TokenRejected\`, \`StoreFailed\` and \`ConfigurationInvalid\`. A login can also end in \`LoginFailed\`.

\`\`\`ts
import { Effect } from "effect"
import { adviceOf, type TokenSource } from "keyfob"

export const describe = (source: TokenSource.TokenSource) =>
  source.token.pipe(
    Effect.catchTag("LoginRequired", (error) => Effect.logWarning(error.message, adviceOf(error).remedy)),
    Effect.catchTag("ProviderUnavailable", ({ retryAfter }) => Effect.logInfo("later", retryAfter))
  )
\`\`\`
`

if (!process.argv.includes("--check")) writeFileSync(page, text)
else if (readFileSync(page, "utf8") !== text) {
  console.error("docs/errors.md is not the table of AuthError.ts: run npm run docs:errors")
  process.exitCode = 1
}
