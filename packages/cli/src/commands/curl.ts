import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import * as Command from "effect/cli/Command"
import * as behind from "../behind.ts"
import * as certificateFiles from "../certificateFiles.ts"
import * as child from "../child.ts"
import * as curlArguments from "../curlArguments.ts"
import * as fresh from "../fresh.ts"
import { here } from "../here.ts"
import * as level from "../level.ts"
import { oauthOf, type Provider } from "../provider.ts"
import * as secret from "../secret.ts"
import * as target from "../target.ts"

const usage = "keyfob curl [PROVIDER] -- URL [ARGUMENTS OF CURL]"

export const curl = Command.make(
  "curl",
  {
    words: behind.words("arguments", "A provider of the context, --, a URL and arguments of curl"),
    ...level.flags,
    ...secret.flags
  },
  Effect.fnUntraced(function* ({ words, ...flags }) {
    const opened = yield* here
    const split = yield* behind.split(words, usage)
    yield* curlArguments.check(split.behind)
    const provider = yield* target.one(opened, split.name, flags)
    const headers = yield* fresh.headers(opened, provider, flags, { presents: true })
    const certificate = yield* identity(provider)
    const presented = certificate.length === 0 ? [] : ["the client's certificate"]
    yield* curlArguments.checkRedirects(split.behind, [...Object.keys(headers), ...presented])
    const stdin = [...configuration(split.behind, headers), ...certificate, ""].join("\n")
    // -q counts only as the first: no .curlrc says otherwise.
    return yield* child.run("curl", ["-q", "--config", "-", ...split.behind], { stdin })
  })
).pipe(Command.withDescription("Run curl with a valid token, which shows in no process list; ends as it does"))

/** Before the person's own arguments, which may say otherwise: https alone, but on this machine, and for addresses without a scheme too. */
const configuration = (args: ReadonlyArray<string>, headers: Readonly<Record<string, Redacted.Redacted>>) => [
  ...Object.entries(headers).map(([name, value]) => `header = ${quoted(`${name}: ${Redacted.value(value)}`)}`),
  `proto-default = "https"`,
  // No proxy of the environment's sees what goes to this machine in clear, and no glob makes another host's address.
  ...(curlArguments.isPlain(args) ? [`proto = "=http,https"`, `noproxy = "*"`, "globoff"] : [`proto = "=https"`]),
  `proto-redir = "=https"`
]

/** The client's certificate, for who asks for it: tokens may be bound to it (RFC 8705 section 3). */
const identity = Effect.fnUntraced(function* (provider: Provider) {
  const settings = oauthOf(provider)
  const files = settings && certificateFiles.of(settings)
  if (files === undefined) return []
  const { certificate, key, passphrase } = yield* files
  return [
    // What follows a colon would be the passphrase.
    `cert = ${quoted(certificate.replaceAll(/[\\:]/g, "\\$&"))}`,
    `key = ${quoted(key)}`,
    ...(passphrase === undefined ? [] : [`pass = ${quoted(Redacted.value(passphrase))}`])
  ]
})

const quoted = (text: string) => `"${text.replaceAll(/["\\]/g, "\\$&")}"`
