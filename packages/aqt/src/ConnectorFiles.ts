/**
 * The files of AQT's Python connector: `config` (TOML), `access_token`, `refresh_token`. Its library has them in `~/.aqt`,
 * its command in the platform's directory for the application `aqt`: each is blind to the other's, Keyfob sees both.
 */
import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Option from "effect/Option"
import * as Path from "effect/Path"
import * as Redacted from "effect/Redacted"
import * as Result from "effect/Result"
import * as Toml from "effect/encoding/Toml"
import * as UserDirectories from "effect/persistence/UserDirectories"
import { AccessToken, ConfigurationInvalid, Credential, type CredentialKey, Jwt, printable } from "keyfob"

/** What one directory has. */
export interface ConnectorFiles {
  readonly directory: string
  /** Of `config`: its table `default`, or without one the whole file. Not decoded. */
  readonly settings: Readonly<Record<string, unknown>>
  readonly accessToken?: Redacted.Redacted
  readonly refreshToken?: Redacted.Redacted
}

/** Both directories, the library's first. */
export const directories = Effect.gen(function* () {
  const path = yield* Path.Path
  const user = yield* UserDirectories.UserDirectories
  return [path.join(yield* user.home, ".aqt"), yield* user.config("aqt")] as const
}).pipe(
  Effect.provide(UserDirectories.layer),
  Effect.mapError(() => new ConfigurationInvalid({ reason: "MissingValue", detail: "no home directory" }))
)

/** What a directory has. One that is not there has nothing. */
export const read = Effect.fnUntraced(function* (
  directory: string
): Effect.fn.Return<ConnectorFiles, ConfigurationInvalid, FileSystem.FileSystem | Path.Path> {
  const fs = yield* FileSystem.FileSystem
  const path = yield* Path.Path
  const text = (name: string) =>
    fs.readFileString(path.join(directory, name)).pipe(
      Effect.catchReason("PlatformError", "NotFound", () => Effect.succeed("")),
      Effect.mapError(() => unreadable(`${path.join(directory, name)} cannot be read`))
    )
  const config = Toml.parse(yield* text("config"))
  // Not what the parser says: it quotes what it cannot read, a secret perhaps.
  if (Result.isFailure(config)) return yield* unreadable(`${path.join(directory, "config")} is not TOML`)
  const { default: table = config.success } = config.success
  const accessToken = (yield* text("access_token")).trim()
  const refreshToken = (yield* text("refresh_token")).trim()
  return {
    directory,
    settings: isTable(table) ? table : {},
    ...(accessToken === "" ? {} : { accessToken: Redacted.make(accessToken) }),
    ...(refreshToken === "" ? {} : { refreshToken: Redacted.make(refreshToken) })
  }
})

const isTable = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === "object" && value !== null && !Array.isArray(value)

const unreadable = (detail: string) => new ConfigurationInvalid({ reason: "Unreadable", detail: printable(detail) })

/** The connector's session as a credential, where there is one. The token says its own end; it is verified where it is used. */
export const credentialOf = Effect.fnUntraced(function* (files: ConnectorFiles, key: CredentialKey) {
  const { accessToken, refreshToken } = files
  if (accessToken === undefined) return undefined
  const { claims } = yield* Jwt.decode(Redacted.value(accessToken))
  const expiresAt = typeof claims["exp"] === "number" ? DateTime.make(claims["exp"] * 1000) : Option.none()
  return Credential.make({
    key,
    generation: 1,
    issuedAt: yield* DateTime.now,
    token: AccessToken.make({
      value: accessToken,
      type: "Bearer",
      scopes: key.scopes,
      ...(Option.isSome(expiresAt) ? { expiresAt: expiresAt.value } : {})
    }),
    ...(refreshToken === undefined ? {} : { refreshToken })
  })
})

/**
 * Writes the tokens where the connector looks for them, for its users alone to read; each file is whole at any instant. A
 * refresh token that stands there goes where there is none to take its place: it is another session's, or spent.
 */
export const writeTokens = Effect.fnUntraced(function* (directory: string, { refreshToken, token }: Credential) {
  const fs = yield* FileSystem.FileSystem
  const path = yield* Path.Path
  yield* fs.makeDirectory(directory, { recursive: true, mode: 0o700 })
  const write = Effect.fnUntraced(function* (name: string, value: Redacted.Redacted) {
    const file = path.join(directory, name)
    // A prefix is joined as a path: "." alone would make it beside the directory, where there may be another disk.
    const temporary = path.join(yield* fs.makeTempDirectoryScoped({ directory, prefix: ".keyfob-" }), name)
    yield* fs.writeFileString(temporary, Redacted.value(value), { mode: 0o600, flag: "wx" })
    yield* fs.rename(temporary, file)
  }, Effect.scoped)
  if (refreshToken === undefined) yield* fs.remove(path.join(directory, "refresh_token"), { force: true })
  yield* write("access_token", token.value)
  if (refreshToken !== undefined) yield* write("refresh_token", refreshToken)
})
