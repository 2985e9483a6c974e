import * as Config from "effect/Config"
import * as Effect from "effect/Effect"
import type * as Redacted from "effect/Redacted"
import { ConfigurationInvalid } from "keyfob"
import { expandHome } from "../Directories.ts"

/** What the environment says. An empty variable counts as absent; `~` in paths is expanded. */
export interface Environment {
  /** `KEYFOB_CONTEXT` */
  readonly context: string | undefined
  /** `KEYFOB_CONFIG`: path of the configuration file. */
  readonly configFile: string | undefined
  /** `KEYFOB_OUTPUT` */
  readonly output: "text" | "json" | undefined
  /** `KEYFOB_NON_INTERACTIVE`, else whether `CI` is set to anything that does not mean no. */
  readonly nonInteractive: boolean | undefined
  /** False where `NO_COLOR` is set or `TERM` is `dumb`: the terminal is not to be sent escape sequences. */
  readonly color: boolean
  /** `KEYFOB_CA_FILE`, else `SSL_CERT_FILE`. */
  readonly caFile: string | undefined
  /** `KEYFOB_CLIENT_SECRET` */
  readonly clientSecret: Redacted.Redacted | undefined
  /** `KEYFOB_STORE_URL`: of a store that hosts share. */
  readonly storeUrl: Redacted.Redacted | undefined
  /** `KEYFOB_STORE_PASSPHRASE`: opens encrypted files. */
  readonly storePassphrase: Redacted.Redacted | undefined
  /** `KEYFOB_FORMER_STORE_PASSPHRASE`: opens what was encrypted before the passphrase changed. */
  readonly formerStorePassphrase: Redacted.Redacted | undefined
  /** `KEYFOB_PRIVATE_KEY`: the key itself, PEM or JWK. */
  readonly privateKey: Redacted.Redacted | undefined
  /** `KEYFOB_PRIVATE_KEY_PASSPHRASE`: opens an encrypted private key, be it a file's or `KEYFOB_PRIVATE_KEY`. */
  readonly privateKeyPassphrase: Redacted.Redacted | undefined
  /** `KEYFOB_PASSWORD`, `KEYFOB_TOKEN`, `KEYFOB_REFRESH_TOKEN`, `KEYFOB_APP_SECRET`: for the types of providers that call for one. */
  readonly password: Redacted.Redacted | undefined
  readonly token: Redacted.Redacted | undefined
  readonly refreshToken: Redacted.Redacted | undefined
  readonly appSecret: Redacted.Redacted | undefined
}

const text = (name: string) => Config.String(name).pipe(Config.withDefault(undefined))
const secret = (name: string) => Config.Redacted(name).pipe(Config.withDefault(undefined))

const Variables = Config.all({
  context: text("KEYFOB_CONTEXT"),
  configFile: text("KEYFOB_CONFIG"),
  output: text("KEYFOB_OUTPUT"),
  nonInteractive: text("KEYFOB_NON_INTERACTIVE"),
  ci: text("CI"),
  caFile: text("KEYFOB_CA_FILE"),
  sslCertFile: text("SSL_CERT_FILE"),
  clientSecret: secret("KEYFOB_CLIENT_SECRET"),
  storeUrl: secret("KEYFOB_STORE_URL"),
  storePassphrase: secret("KEYFOB_STORE_PASSPHRASE"),
  formerStorePassphrase: secret("KEYFOB_FORMER_STORE_PASSPHRASE"),
  privateKey: secret("KEYFOB_PRIVATE_KEY"),
  privateKeyPassphrase: secret("KEYFOB_PRIVATE_KEY_PASSPHRASE"),
  password: secret("KEYFOB_PASSWORD"),
  token: secret("KEYFOB_TOKEN"),
  refreshToken: secret("KEYFOB_REFRESH_TOKEN"),
  appSecret: secret("KEYFOB_APP_SECRET")
})

const invalid = (detail: string) => new ConfigurationInvalid({ reason: "InvalidValue", detail })

const words: Readonly<Record<string, boolean>> = {
  true: true,
  yes: true,
  on: true,
  1: true,
  false: false,
  no: false,
  off: false,
  0: false
}
const wordOf = (value: string) => (Object.hasOwn(words, value.toLowerCase()) ? words[value.toLowerCase()] : undefined)

const yesOrNo = Effect.fnUntraced(function* (name: string, value: string) {
  return wordOf(value) ?? (yield* invalid(`${name} is neither true, yes, on, 1 nor false, no, off, 0`))
})

const textOrJson = Effect.fnUntraced(function* (
  value: string
): Effect.fn.Return<"text" | "json", ConfigurationInvalid> {
  return value === "text" || value === "json" ? value : yield* invalid("KEYFOB_OUTPUT is neither text nor json")
})

/** Whether escape sequences are welcome: `NO_COLOR` and `TERM=dumb` say that they are not. */
export const terminalColor: Effect.Effect<boolean> = Config.all({ noColor: text("NO_COLOR"), term: text("TERM") }).pipe(
  Effect.map(({ noColor, term }) => noColor === undefined && term !== "dumb"),
  Effect.orElseSucceed(() => true)
)

/** Reads the environment through the current `ConfigProvider`. A value that means nothing is `ConfigurationInvalid`. */
export const read: Effect.Effect<Environment, ConfigurationInvalid> = Effect.gen(function* () {
  const { caFile: own, ci, configFile, nonInteractive, output, sslCertFile, ...others } = yield* Variables
  const caFile = own ?? sslCertFile
  return {
    ...others,
    configFile: configFile === undefined ? undefined : yield* expandHome(configFile),
    output: output === undefined ? undefined : yield* textOrJson(output),
    nonInteractive:
      nonInteractive !== undefined
        ? yield* yesOrNo("KEYFOB_NON_INTERACTIVE", nonInteractive)
        : // CI is not ours, and some systems put their own name there: only a plain no is a no.
          ci === undefined
          ? undefined
          : (wordOf(ci) ?? true),
    color: yield* terminalColor,
    caFile: caFile === undefined ? undefined : yield* expandHome(caFile)
  }
}).pipe(Effect.catchTag("ConfigError", () => invalid("the environment cannot be read")))
