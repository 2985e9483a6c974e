import * as Context from "effect/Context"
import * as Config from "effect/Config"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as UserDirectories from "effect/persistence/UserDirectories"
import { ConfigurationInvalid } from "keyfob"
import { join, resolve } from "node:path"

/** `~` and `~/…` as a path in the person's home directory; every other path as it is. */
export const expandHome = Effect.fnUntraced(function* (path: string) {
  if (!/^~(?=$|[\\/])/.test(path)) return path
  const home = yield* UserDirectories.make().home.pipe(Effect.mapError(() => homeless))
  return join(home, path.slice(1))
})

/**
 * Where Keyfob keeps its files: absolute paths, none of which need exist.
 *
 * With `KEYFOB_HOME=DIR` all three lie in `DIR`, else in the platform's directories for the application `keyfob`.
 * Fails with `ConfigurationInvalid` where neither `KEYFOB_HOME` nor a home directory is known, or
 * where `KEYFOB_HOME` is relative to a current directory that is gone.
 */
export class Directories extends Context.Service<
  Directories,
  {
    /** The file with contexts and providers, `config.toml`. */
    readonly configFile: string
    /** The directory of the credential store. */
    readonly credentials: string
    /** For what can be fetched again. Nothing is kept there so far. */
    readonly cache: string
  }
>()("@keyfob/node/Directories") {
  static readonly make = Effect.gen(function* () {
    const keyfobHome = yield* Config.String("KEYFOB_HOME").pipe(Config.withDefault(undefined))
    if (keyfobHome !== undefined) {
      const path = yield* expandHome(keyfobHome)
      const home = yield* Effect.try({ try: () => resolve(path), catch: () => nowhere })
      return Directories.of({
        configFile: join(home, "config.toml"),
        credentials: join(home, "credentials"),
        cache: join(home, "cache")
      })
    }
    const user = yield* UserDirectories.UserDirectories
    return Directories.of({
      configFile: join(yield* user.config("keyfob"), "config.toml"),
      // State, not data: data roams between machines on some platforms, and a rotated refresh token must not be spent twice.
      credentials: join(yield* user.state("keyfob"), "credentials"),
      cache: yield* user.cache("keyfob")
    })
  }).pipe(Effect.catchTag(["ConfigError", "PlatformError"], () => homeless))

  static readonly layer = Layer.effect(Directories, Directories.make).pipe(Layer.provide(UserDirectories.layer))
}

const nowhere = new ConfigurationInvalid({
  reason: "InvalidValue",
  detail: "KEYFOB_HOME is a relative path, and the current directory is gone; give an absolute one"
})

const homeless = new ConfigurationInvalid({
  reason: "MissingValue",
  detail: "no home directory; set KEYFOB_HOME to a directory for Keyfob's files"
})
