/**
 * docs/conformance.md: the modules of OpenID's relying-party plans, how Keyfob ends in each, and the test that shows it.
 *
 *     node .ci/conformance.ts [--check]   --check: fail where a module has lost its test or the page is of other tests
 */
import { readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"

const root = join(import.meta.dirname, "..")
const page = join(root, "docs/conformance.md")
const file = "packages/testing/test/conformance.test.ts"

/** What the suite wants of a client: `either` is a module that the suite skips where the client refuses. */
type Wanted = "accept" | "reject" | "either"

const basic: Readonly<Record<string, Wanted>> = {
  "oidcc-client-test": "accept",
  "oidcc-client-test-invalid-iss": "reject",
  "oidcc-client-test-missing-sub": "reject",
  "oidcc-client-test-invalid-aud": "reject",
  "oidcc-client-test-missing-iat": "reject",
  "oidcc-client-test-kid-absent-single-jwks": "accept",
  "oidcc-client-test-kid-absent-multiple-jwks": "accept",
  "oidcc-client-test-idtoken-sig-rs256": "accept",
  "oidcc-client-test-idtoken-sig-none": "either",
  "oidcc-client-test-invalid-sig-rs256": "reject",
  "oidcc-client-test-userinfo-invalid-sub": "reject",
  "oidcc-client-test-nonce-invalid": "reject",
  "oidcc-client-test-scope-userinfo-claims": "accept",
  "oidcc-client-test-client-secret-basic": "accept"
}

/** The suite's plans, with their modules in its order. */
const plans: Readonly<Record<string, Readonly<Record<string, Wanted>>>> = {
  "oidcc-client-basic-certification-test-plan": basic,
  "oidcc-client-formpost-basic-certification-test-plan": basic,
  "oidcc-client-config-certification-test-plan": {
    "oidcc-client-test-discovery-openid-config": "accept",
    "oidcc-client-test-discovery-jwks-uri-keys": "accept",
    "oidcc-client-test-discovery-issuer-mismatch": "reject",
    "oidcc-client-test-idtoken-sig-none": "either",
    "oidcc-client-test-signing-key-rotation-just-before-signing": "accept",
    "oidcc-client-test-signing-key-rotation": "accept"
  },
  // No certifications, from here on.
  "oidcc-client-refreshtoken-test-plan": {
    "oidcc-client-test-refresh-token": "accept",
    "oidcc-client-test-refresh-token-invalid-issuer": "reject",
    "oidcc-client-test-refresh-token-invalid-sub": "reject",
    "oidcc-client-test-refresh-token-invalid-aud": "reject",
    "oidcc-client-test-refresh-token-invalid-azp": "reject"
  },
  // What it has besides.
  "oidcc-client-test-plan": {
    "oidcc-client-test-missing-aud": "reject",
    "oidcc-client-test-userinfo-bearer-header": "accept",
    "oidcc-client-test-userinfo-bearer-body": "accept",
    "oidcc-client-test-form-post-error": "reject",
    "oidcc-client-test-invalid-sig-hs256": "reject",
    "oidcc-client-test-invalid-sig-es256": "reject",
    "oidcc-client-test-ignores-unparseable-key-in-jwks": "accept",
    "oidcc-client-test-nonce-unless-code-flow": "accept",
    "oidcc-client-test-invalid-chash": "reject",
    "oidcc-client-test-missing-chash": "reject",
    "oidcc-client-test-invalid-athash": "reject",
    "oidcc-client-test-missing-athash": "reject",
    "oidcc-client-test-aggregated-claims": "accept",
    "oidcc-client-test-distributed-claims": "accept",
    "oidcc-client-test-mtls-endpoint-aliases": "accept"
  }
}

const notCode =
  "the suite has it for implicit and hybrid response types alone; Keyfob has `code` alone (RFC 9700 section 2.1.2)"
const exceptions: Readonly<Record<string, string>> = {
  "oidcc-client-test-userinfo-bearer-body": "the other way than the header, which Keyfob sends; one of them is enough",
  "oidcc-client-test-nonce-unless-code-flow": notCode,
  "oidcc-client-test-invalid-chash": notCode,
  "oidcc-client-test-missing-chash": notCode,
  "oidcc-client-test-invalid-athash": notCode,
  "oidcc-client-test-missing-athash": notCode,
  "oidcc-client-test-aggregated-claims": "Keyfob resolves no claims of others: they are in the answer as they came",
  "oidcc-client-test-distributed-claims": "Keyfob resolves no claims of others: they are in the answer as they came",
  "oidcc-client-test-mtls-endpoint-aliases":
    "for clients with a certificate: shown over TLS in [MutualTls.test.ts](../packages/embedded/test/MutualTls.test.ts)"
}

/** A title is `NAME: how it ends`, and the test holds it to the second half. */
const shown = new Map<string, { readonly ends: string; readonly line: number }>()
readFileSync(join(root, file), "utf8")
  .split("\n")
  .forEach((text, index) => {
    const [, name, ends] = /"(oidcc-client-[\w-]+): ([^"]+)"/.exec(text) ?? []
    if (name !== undefined && ends !== undefined) shown.set(name, { ends, line: index + 1 })
  })

const wrong: Array<string> = []

const row = ([name, wanted]: readonly [string, Wanted]) => {
  const reason = exceptions[name]
  if (reason !== undefined) return `| \`${name}\` | does not apply | ${reason} | |`
  const test = shown.get(name)
  const accepts = test?.ends === "signed in" || test?.ends === "used"
  const fits = test !== undefined && (wanted === "either" || accepts === (wanted === "accept"))
  if (!fits) wrong.push(test === undefined ? `${name} has no test` : `${name}: ${test.ends}, it should ${wanted}`)
  const verdict = !fits ? "**failed**" : wanted === "either" && !accepts ? "skipped, as the suite allows" : "passed"
  const ends = test === undefined || accepts ? (test?.ends ?? "") : `\`${test.ends}\``
  const where = test === undefined ? "" : `[conformance.test.ts:${test.line}](../${file}#L${test.line})`
  return `| \`${name}\` | ${verdict} | ${ends} | ${where} |`
}

const text = `# Conformance

The relying-party plans of the [OpenID conformance suite](https://gitlab.com/openid/conformance-suite), made anew as tests: what the suite's server does in a
module, the [simulated provider](testing.md) does in the test of that name, and Keyfob signs somebody in or refuses. This is no certification, and no run of
the suite itself. In the plans of the basic profile the answer comes in the query, and once more as a posted form. Plans of implicit and hybrid response
types do not apply: Keyfob has \`code\` alone. Dynamic registration and the plans of logout are not among these. The page is made by
\`npm run docs:conformance\`.

What Keyfob makes of 700 token answers, 300 discovery documents and 300 callbacks, good and spoiled, is compared with \`oauth4webapi\`: where the two differ, the
difference and its reason are listed in [Differential.test.ts](../packages/testing/test/Differential.test.ts), and any other fails.
${Object.entries(plans)
  .map(
    ([plan, modules]) => `
## ${plan}

| module | verdict | how it ends | test |
|---|---|---|---|
${Object.entries(modules).map(row).join("\n")}
`
  )
  .join("")}`

/** Lines move with every edit above them: what counts is which test shows what. */
const withoutLines = (text: string) => text.replaceAll(/(:|#L)\d+/g, "")

if (wrong.length > 0) {
  console.error(`conformance:\n${wrong.join("\n")}`)
  process.exitCode = 1
} else if (!process.argv.includes("--check")) writeFileSync(page, text)
else if (withoutLines(readFileSync(page, "utf8")) !== withoutLines(text)) {
  console.error("docs/conformance.md is of other tests: run npm run docs:conformance")
  process.exitCode = 1
}
