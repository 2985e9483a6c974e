/**
 * docs/proofs.md: what signing in promises, item by item, and the test that shows it.
 *
 *     node .ci/proofs.ts [--check]        --check: fail where a test is gone or the page is of other tests
 */
import { readFileSync } from "node:fs"
import { join } from "node:path"
import { finish, linkToTest, root } from "./shown.ts"

const core = "packages/core/test"
const real = `${core}/integration`
const cli = "packages/cli/test"
const node = "packages/node/test"
const embedded = "packages/embedded/test"

/** An item, the file with its test, and what stands in the test's title. */
type Proof = readonly [item: string, file: string, title: string]

const chapters: Readonly<Record<string, ReadonlyArray<Proof>>> = {
  "Authorization code with PKCE": [
    ["in two halves, for web apps", `${real}/authorization.test.ts`, "signs in in two halves"],
    ["`iss` of the response (RFC 9207)", `${real}/authorization.test.ts`, "attack: mix-up"],
    ["PKCE binds the code to the request", `${real}/authorization.test.ts`, "attack: code injection"],
    ["S256 alone; a downgrade is refused", `${core}/flow/AuthorizationCode.test.ts`, "attack: PKCE downgrade"],
    ["a code is used once", `${core}/flow/AuthorizationCode.test.ts`, "attack: an answer is used once"],
    ["authorization errors are typed", `${core}/flow/AuthorizationCode.test.ts`, "the error ${code} is ${end}"],
    ["`prompt`, `max_age`, asked and checked", `${real}/authorization.test.ts`, "max_age is asked for and shown"],
    ["`acr` and `auth_time` checked", `${core}/flow/AuthorizationCode.test.ts`, "max_age and acr_values are checked"],
    ["`resource` (RFC 8707)", `${real}/authorization.test.ts`, "a token for an API (RFC 8707)"],
    [
      "`offline_access` asks for consent",
      `${core}/flow/AuthorizationCode.test.ts`,
      "asks for consent where it asks for"
    ],
    ["the ID token is verified", `${real}/protocol.test.ts`, "their ID token verifies against the provider's keys"]
  ],
  "Loopback receiver": [
    ["the whole login, in a real browser, by its form", `${cli}/browser.test.ts`, "Chromium opens, they sign in"],
    ["`form_post`", `${cli}/browser.test.ts`, "(form_post)"],
    [
      "127.0.0.1 and [::1], or the one there is",
      `${node}/LoopbackReceiver.test.ts`,
      "listens on both loopback addresses"
    ],
    ["fixed ports", `${node}/LoopbackReceiver.test.ts`, "takes the first of its fixed ports"],
    ["any other request is refused, and disturbs nothing", `${node}/LoopbackReceiver.test.ts`, "refuses ${what}"],
    ["the landing page leaks nothing", `${node}/LoopbackReceiver.test.ts`, "the page leaks nothing"],
    ["no log and no span has the code", `${node}/LoopbackReceiver.test.ts`, "no log and no span has the code"],
    ["closed when it is cancelled", `${cli}/browser.test.ts`, "Ctrl-C: exit 130, and the port is closed"]
  ],
  "The browser, and what takes its place": [
    ["`BROWSER`, `--browser`", `${node}/Browser.test.ts`, "BROWSER before all"],
    ["Windows, WSL, macOS, Linux; no shell", `${node}/Browser.test.ts`, "no shell reads a command or an address"],
    ["a failure to open is a warning", `${cli}/browser.test.ts`, "a browser that does not open is a warning"],
    ["SSH: a device code, or the line for the port", `${cli}/browser.test.ts`, "over SSH"],
    ["pasting the address", `${cli}/browser.test.ts`, "the address the browser ended at is pasted"],
    ["a denial is final", `${cli}/browser.test.ts`, "they cancel: exit 4"],
    ["the device flow", `${cli}/login.test.ts`, "events on stderr, the account on stdout"]
  ],
  "Client authentication": [
    ["all by secret or key, as a person's client", `${embedded}/ClientAuthentication.test.ts`, "%s: a person"],
    ["the same, as a machine", `${embedded}/ClientAuthentication.test.ts`, "%s: a machine's token"],
    ["`private_key_jwt`, every algorithm", `${embedded}/ClientAuthentication.test.ts`, "by every algorithm there is"],
    ["clocks that differ", `${embedded}/ClientAuthentication.test.ts`, "whose clock is ten minutes off"],
    [
      "an assertion is for one use, at one server",
      `${embedded}/ClientAuthentication.test.ts`,
      "an assertion that is overheard"
    ],
    ["mutual TLS, and tokens bound to the certificate", `${embedded}/MutualTls.test.ts`, "%s: a machine's token names"],
    ["the certificate is shown to the provider alone", `${embedded}/MutualTls.test.ts`, "the certificate is shown to"],
    [
      "workload identity: file, URL, program",
      `${cli}/clientAuthentication.test.ts`,
      "what a platform says of the client"
    ],
    ["a mismatch says what is supported", `${cli}/clientAuthentication.test.ts`, "is a configuration error (2)"]
  ],
  "Tokens on somebody's word, and what becomes of tokens": [
    ["introspection (RFC 7662)", `${real}/servers.test.ts`, "a good token, a revoked one and one nobody knows"],
    ["who introspects proves who they are", `${real}/servers.test.ts`, "who asks must prove who they are"],
    ["JWT bearer grant (RFC 7523)", `${real}/grants.test.ts`, "JWT bearer: a partner's assertion"],
    ["an assertion of a stranger", `${real}/grants.test.ts`, "JWT bearer: what a stranger has signed"],
    ["token exchange with an actor (RFC 8693)", `${real}/grants.test.ts`, "token exchange: on alice's behalf"],
    ["what is issued is what was asked for", `${core}/flow/TokenExchange.test.ts`, "asked for ${asked"],
    ["revocation (RFC 7009)", `${real}/protocol.test.ts`, "a revoked refresh token is dead"],
    ["RP-initiated logout, and the way back", `${real}/endSession.test.ts`, "RP-initiated logout"]
  ],
  "Any server": [
    ["issuer and client alone", `${real}/protocol.test.ts`, "discovers a real provider"],
    ["no discovery document: a machine", `${real}/servers.test.ts`, "a machine signs in, no document"],
    ["no discovery document: a person, verified", `${real}/servers.test.ts`, "verified with the configured keys"],
    ["without keys no ID token is believed", `${real}/servers.test.ts`, "without keys an ID token is not believed"],
    ["provider profiles", `${core}/protocol/ProviderProfile.test.ts`, "ProviderProfile: what differs is data"],
    ["a deviation is visible in the span", `${core}/protocol/ProviderProfile.test.ts`, "is told in the span"]
  ],
  "The command": [
    [
      "`--redirect-port`, `--prompt`, `--login-hint`",
      `${cli}/browser.test.ts`,
      "--redirect-port, --prompt and --login-hint"
    ],
    ["`--client-auth` by secret", `${cli}/clientAuthentication.test.ts`, "with the secret from the environment"],
    ["`--private-key-file`", `${cli}/clientAuthentication.test.ts`, "a key, be it in a file, encrypted"],
    ["`--cert-file`, `--key-file`", `${cli}/clientAuthentication.test.ts`, "a certificate and its key are mutual TLS"],
    ["`introspect`", `${cli}/session.test.ts`, "introspect: a token the provider took back"],
    ["`--endpoint`", `${cli}/session.test.ts`, "a server without a discovery document"],
    ["`--flow jwt_bearer`", `${cli}/session.test.ts`, "jwt_bearer: signs in with what the platform wrote"],
    ["`exec`", `${cli}/programs.test.ts`, "the token is in the child's environment"],
    ["`curl`", `${cli}/programs.test.ts`, "asks with the token, which shows in no command line"],
    ["`logout --end-session`", `${cli}/browser.test.ts`, "Chromium opens, they sign in"]
  ]
}

const row = ([item, file, title]: Proof) => {
  const isReal = readFileSync(join(root, file), "utf8").includes("EmbeddedProvider")
  return `| ${item} | ${linkToTest(file, title)} | ${isReal ? "oidc-provider" : "no provider, or a scripted one"} |`
}

const text = `# What is shown, item by item

Signing in, as it is promised, and for each item one test that shows it: where a provider has a part in it, against \`oidc-provider\`, which is certified
for OpenID Connect, over real sockets. It leaves JWT bearer and token exchange to whoever embeds it: those two grants are
[ours](../packages/embedded/src/grants.ts), on its clients, tokens and errors. This page is made by \`npm run docs:proofs\`.
${Object.entries(chapters)
  .map(
    ([chapter, proofs]) => `
## ${chapter}

| what | shown by | against |
|---|---|---|
${proofs.map(row).join("\n")}
`
  )
  .join("")}`

finish("docs/proofs.md", "docs:proofs", text)
