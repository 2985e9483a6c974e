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
const authorizationCode = `${core}/flow/AuthorizationCode.test.ts`
const attacks = `${real}/authorizationAttacks.test.ts`
const login = `${node}/LoopbackReceiver.login.test.ts`

/** Why a test has no certified provider: the provider does nothing in it, or would have to do what a good one never does. */
const nobody = "no provider has a part"
const script = (why: string) => `a script: ${why}`

/** An item, the file with its test, what stands in the test's title, and why it is not against `oidc-provider`. */
type Proof = readonly [item: string, file: string, title: string, against?: string]

const chapters: Readonly<Record<string, ReadonlyArray<Proof>>> = {
  "Authorization code with PKCE": [
    ["in two halves, for web apps", `${real}/authorization.test.ts`, "signs in in two halves"],
    ["`state`, `nonce` and verifier are chance", authorizationCode, "draws from the WebCrypto reference", nobody],
    ["the answer to another login (`state`)", attacks, "attack: CSRF"],
    ["`iss` of the response (RFC 9207)", attacks, "attack: mix-up, the same answer"],
    ["the same where none is promised", attacks, "attack: mix-up where no issuer is promised"],
    ["PKCE binds the code to the request", attacks, "attack: code injection"],
    ["a stolen code", attacks, "attack: a stolen code"],
    ["S256 alone; a request that was downgraded", attacks, "takes no request without S256"],
    ["metadata that were downgraded", attacks, "where its metadata come without S256"],
    ["a code is used once", attacks, "attack: a code is used once"],
    ["errors are typed: the provider's own", `${real}/authorization.test.ts`, "as the provider finds it"],
    ["errors are typed: its sign-in page's", `${real}/authorization.test.ts`, "as its sign-in page ends with it"],
    ["an answer that says too much", attacks, "attack: ${what} is refused before"],
    ["a request that must be pushed (RFC 9126)", `${real}/authorization.test.ts`, "the request is pushed where"],
    ["`prompt`, `max_age`, asked and checked", `${real}/authorization.test.ts`, "max_age is asked for and shown"],
    ["`auth_time` that is missing", `${real}/authorization.test.ts`, "max_age taken out of the address"],
    ["`auth_time` too long ago", `${real}/authorization.test.ts`, "max_age: who signed in too long ago"],
    ["`acr` checked", `${real}/authorization.test.ts`, "acr_values: the way it can be is in the ID token"],
    ["`login_hint`", `${cli}/browser.test.ts`, "(form_post); the account of login_hint"],
    [
      "`ui_locales`, `audience`, extra parameters, which replace none of the flow's own",
      `${real}/authorization.test.ts`,
      "the provider understands what is asked"
    ],
    ["`resource` (RFC 8707)", `${real}/authorization.test.ts`, "a token for an API (RFC 8707)"],
    ["`offline_access` asks for consent", `${real}/authorization.test.ts`, "offline_access asks for consent"],
    ["the ID token is verified", `${real}/protocol.test.ts`, "their ID token verifies against the provider's keys"],
    ["in every login", attacks, "attack: an ID token that is not of this login"],
    [
      "an ID token that lies",
      authorizationCode,
      "attack: ${module}: ${end}",
      script("a good provider signs no lies; the names are the conformance suite's")
    ]
  ],
  "Loopback receiver": [
    ["the whole login, in a real browser, by its form", `${cli}/browser.test.ts`, "Chromium opens, they sign in"],
    ["`form_post`", `${cli}/browser.test.ts`, "(form_post)"],
    ["127.0.0.1 and [::1]", login, "the provider sends the browser to ${host}"],
    ["or the one there is", `${node}/LoopbackReceiver.test.ts`, "works where there is %s", nobody],
    ["fixed ports", login, "fixed ports, which the provider knows"],
    ["any other request is refused, and disturbs nothing", login, "strangers who come first"],
    ["slow and silent callers, however many", `${node}/LoopbackReceiver.test.ts`, "attack: slow and silent", nobody],
    ["the landing page leaks nothing", login, "have nothing of the code, the state or the tokens"],
    [
      "nothing is loaded, framed or told; a policy without holes",
      `${node}/LoopbackReceiver.test.ts`,
      "the page leaks nothing",
      nobody
    ],
    ["the code leaves the address bar; dark", `${cli}/browser.test.ts`, "the page has nothing of what came with it"],
    ["light; what a screen reader says", `${cli}/browser.test.ts`, "(form_post)"],
    ["a page for each end: denied", `${cli}/browser.test.ts`, "they cancel: exit 4"],
    ["a page for each end: failed", login, "a login that fails when the browser has come"],
    [
      "a page for each end: cancelled, and what is nobody's",
      `${node}/LoopbackReceiver.test.ts`,
      "says that it was %s",
      nobody
    ],
    ["no log and no span has the code", login, "have nothing of the code, the state or the tokens"],
    ["closed when it is done", login, "strangers who come first"],
    ["closed when it is cancelled", `${cli}/browser.test.ts`, "Ctrl-C: exit 130, and the port is closed"],
    ["closed when nobody comes", login, "nobody comes"]
  ],
  "The browser, and what takes its place": [
    ["`BROWSER`, `--browser`, `--no-browser`", `${cli}/browser.test.ts`, "BROWSER names what opens"],
    ["words in quotes, the address where `%s` is", `${node}/Browser.test.ts`, "BROWSER before all", nobody],
    ["Linux, macOS", `${node}/Browser.test.ts`, "Linux and macOS: one program", nobody],
    ["Windows", `${node}/Browser.test.ts`, "Windows: no shell", nobody],
    ["WSL", `${node}/Browser.test.ts`, "WSL: wslview", nobody],
    ["no shell", `${node}/Browser.test.ts`, "no shell reads a command or an address", nobody],
    ["an opener that hangs", `${cli}/browser.test.ts`, "a browser that hangs is not waited for"],
    ["a failure to open is a warning", `${cli}/browser.test.ts`, "a browser that does not open is a warning"],
    ["SSH: a device code, or the line for the port", `${cli}/browser.test.ts`, "over SSH"],
    ["containers, no display", `${node}/Browser.test.ts`, "${where}: ${atHand", nobody],
    ["`auto` goes another way for what is missing alone", `${real}/auto.test.ts`, "where ${where}: ${way}"],
    ["a denial is final", `${cli}/browser.test.ts`, "they cancel: exit 4"],
    ["pasting the address", `${cli}/browser.test.ts`, "the address the browser ended at is pasted"],
    ["pasted, and the browser comes", login, "the address is pasted, and the browser comes as well"],
    ["nobody is asked who may not be", `${cli}/browser.test.ts`, "law 11"],
    ["the device flow", `${cli}/login.test.ts`, "events on stderr, the account on stdout"]
  ],
  "Client authentication": [
    [
      "`none`, `client_secret_basic`, `client_secret_post`, `client_secret_jwt`, `private_key_jwt`, as a person's client",
      `${embedded}/ClientAuthentication.test.ts`,
      "%s: a person"
    ],
    ["those that prove something, as a machine", `${embedded}/ClientAuthentication.test.ts`, "%s: a machine's token"],
    [
      "a wrong proof, or one by another `kid`, is refused",
      `${embedded}/ClientAuthentication.test.ts`,
      "proves it wrongly is refused"
    ],
    ["`private_key_jwt`, every algorithm", `${embedded}/ClientAuthentication.test.ts`, "by every algorithm there is"],
    ["PEM (PKCS#1, PKCS#8, SEC1, encrypted) and JWK", `${node}/PrivateKey.test.ts`, "%s signs what its", nobody],
    ["`kid` of a file, which a provider goes by", `${node}/PrivateKey.test.ts`, "a file is read with the id", nobody],
    ["`x5t#S256`", `${node}/PrivateKey.test.ts`, "(x5t#S256)", nobody],
    [
      "whom an assertion is for",
      `${core}/protocol/ClientAuthentication.test.ts`,
      "an assertion is addressed to the issuer alone",
      script("oidc-provider takes every one of them")
    ],
    ["clocks that differ", `${embedded}/ClientAuthentication.test.ts`, "whose clock is ten minutes off"],
    [
      "an assertion is for one use, at one server",
      `${embedded}/ClientAuthentication.test.ts`,
      "an assertion that is overheard"
    ],
    [
      "`tls_client_auth`, `self_signed_tls_client_auth`, as a person's client",
      `${embedded}/MutualTls.test.ts`,
      "%s: a person's tokens are bound"
    ],
    [
      "the same as a machine, and tokens bound to the certificate",
      `${embedded}/MutualTls.test.ts`,
      "%s: a machine's token names"
    ],
    ["a token that is not bound", `${embedded}/MutualTls.test.ts`, "attack: a provider that binds nothing"],
    ["another's certificate is refused", `${embedded}/MutualTls.test.ts`, "%s is refused"],
    ["the certificate is shown to the provider alone", `${embedded}/MutualTls.test.ts`, "the certificate is shown to"],
    [
      "workload identity: file, URL, program",
      `${cli}/clientAuthentication.test.ts`,
      "what a platform says of the client"
    ],
    ["chosen from the metadata: a secret", `${real}/profiles.test.ts`, "a secret goes where the metadata list it"],
    [
      "chosen from the metadata: a key's algorithm",
      `${embedded}/ClientAuthentication.test.ts`,
      "a key signs by the algorithm that the metadata list"
    ],
    ["a mismatch says what is supported", `${cli}/clientAuthentication.test.ts`, "is a configuration error (2)"],
    ["secrets are in no command line, file or output", `${cli}/session.test.ts`, "R13: no token or secret"],
    [
      "secrets are hidden, whatever happens",
      `${core}/redaction.test.ts`,
      "met by ${trouble}",
      script("it has every trouble there is")
    ]
  ],
  "Tokens on somebody's word, and what becomes of tokens": [
    ["introspection (RFC 7662)", `${real}/servers.test.ts`, "a good token, a revoked one and one nobody knows"],
    ["who introspects proves who they are", `${real}/servers.test.ts`, "who asks must prove who they are"],
    ["JWT bearer grant (RFC 7523)", `${real}/grants.test.ts`, "JWT bearer: a partner's assertion"],
    ["an assertion of a stranger", `${real}/grants.test.ts`, "JWT bearer: what a stranger has signed"],
    ["token exchange with an actor (RFC 8693)", `${real}/grants.test.ts`, "token exchange: on alice's behalf"],
    ["for an ID token", `${real}/grants.test.ts`, "token exchange: an ID token that was asked for is one"],
    ["what is issued is what was asked for", `${real}/grants.test.ts`, "token exchange: asked for ${asked}"],
    [
      "any type, against any answer",
      `${core}/flow/TokenExchange.test.ts`,
      "asked for ${asked",
      script("a good provider issues what was asked for, and not every type")
    ],
    ["revocation (RFC 7009)", `${real}/protocol.test.ts`, "a revoked refresh token is dead"],
    ["RP-initiated logout, and the way back", `${real}/endSession.test.ts`, "RP-initiated logout"]
  ],
  "Any server": [
    ["issuer and client alone", `${cli}/login.test.ts`, "events on stderr, the account on stdout"],
    ["what is discovered", `${real}/protocol.test.ts`, "discovers a real provider"],
    ["no discovery document: a machine", `${real}/servers.test.ts`, "a machine signs in, no document"],
    ["no discovery document: a person, verified", `${real}/servers.test.ts`, "verified with the configured keys"],
    ["without keys no ID token is believed", `${real}/servers.test.ts`, "without keys an ID token is not believed"],
    ["profiles: the API's name", `${real}/profiles.test.ts`, "the API in its own word for it"],
    ["profiles: how secrets and requests are written", `${real}/profiles.test.ts`, "id and secret in HTTP Basic"],
    ["profiles: auth0's device endpoint", `${real}/profiles.test.ts`, "auth0: the device endpoint"],
    ["profiles: the ID token as bearer", `${real}/profiles.test.ts`, "the ID token as bearer"],
    [
      "JSON, where a form is turned down",
      `${core}/protocol/ProviderProfile.test.ts`,
      "where a form is turned down unread",
      script("oidc-provider takes forms alone")
    ],
    [
      "auth0, as it answers",
      `${core}/protocol/ProviderProfile.test.ts`,
      "a tenant is known by its address",
      script("Auth0's own answers, by a fixture")
    ],
    ["a deviation is visible in the span", `${real}/profiles.test.ts`, "deviations on the way from it"],
    [
      "errors in other forms",
      `${core}/protocol/ProviderProfile.test.ts`,
      "deviations met",
      script("a good provider does not have them")
    ]
  ],
  "The command": [
    ["`--flow browser`", `${cli}/browser.test.ts`, "Chromium opens, they sign in"],
    ["`--flow auto`", `${cli}/browser.test.ts`, "over SSH"],
    ["`--browser`, `--no-browser`", `${cli}/browser.test.ts`, "BROWSER names what opens"],
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

const certified = "oidc-provider"

const againstOf = ([item, file, , against = certified]: Proof) => {
  const isReal = readFileSync(join(root, file), "utf8").includes("EmbeddedProvider")
  if (isReal !== (against === certified)) throw new Error(`${item}: ${file} is not against ${against}`)
  return against
}

const proofs = Object.values(chapters).flat()
const count = (has: (against: string) => boolean) => proofs.map(againstOf).filter(has).length
const counts = {
  real: count((against) => against === certified),
  nobody: count((against) => against === nobody),
  script: count((against) => against.startsWith("a script"))
}

const row = (proof: Proof) => {
  const [item, file, title] = proof
  return `| ${item} | ${linkToTest(file, title)} | ${againstOf(proof)} |`
}

const text = `# What is shown, item by item

Signing in, as it is promised, and for each item a test that shows it: where a provider has a part in it, against \`oidc-provider\`, which is certified
for OpenID Connect, over real sockets (${counts.real} of ${proofs.length}). Where it has to be answered as no good provider answers, a script does it, and the reason
stands there (${counts.script}); in the rest no provider has a part (${counts.nobody}). Some tests change an answer or an address of the certified one on its way, as whoever
is in between would. The pages where people sign in are [ours](../packages/embedded/src/pages.ts), and so are two grants that \`oidc-provider\` leaves to
whoever embeds it, [JWT bearer and token exchange](../packages/embedded/src/grants.ts), on its clients, tokens and errors. The authority of the certificates
for mutual TLS is made when the tests run. This page is made by \`npm run docs:proofs\`.
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
