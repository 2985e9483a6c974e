import { assert, it, vi } from "@effect/vitest"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Effect from "effect/Effect"
import * as UserDirectories from "effect/persistence/UserDirectories"
import { adviceOf } from "keyfob"
import { Directories, expandHome } from "../src/Directories.ts"

const on = (platform: string, env: Record<string, string>) =>
  Directories.make.pipe(
    Effect.provideService(UserDirectories.UserDirectories, UserDirectories.make({ platform })),
    Effect.provide(ConfigProvider.layer(ConfigProvider.fromEnv({ env })))
  )

it.effect.each<readonly [string, Record<string, string>, Directories["Service"]]>([
  [
    "linux",
    { HOME: "/home/ada" },
    {
      configFile: "/home/ada/.config/keyfob/config.toml",
      credentials: "/home/ada/.local/state/keyfob/credentials",
      cache: "/home/ada/.cache/keyfob"
    }
  ],
  [
    "linux",
    { HOME: "/home/ada", XDG_CONFIG_HOME: "/x", XDG_STATE_HOME: "relative" },
    {
      configFile: "/x/keyfob/config.toml",
      credentials: "/home/ada/.local/state/keyfob/credentials",
      cache: "/home/ada/.cache/keyfob"
    }
  ],
  [
    "darwin",
    { HOME: "/Users/ada" },
    {
      configFile: "/Users/ada/Library/Application Support/keyfob/config.toml",
      credentials: "/Users/ada/Library/Application Support/keyfob/credentials",
      cache: "/Users/ada/Library/Caches/keyfob"
    }
  ],
  [
    "linux",
    { KEYFOB_HOME: "/srv/keys" },
    {
      configFile: "/srv/keys/config.toml",
      credentials: "/srv/keys/credentials",
      cache: "/srv/keys/cache"
    }
  ],
  [
    "linux",
    { KEYFOB_HOME: "~/keys", HOME: "/home/ada" },
    {
      configFile: "/home/ada/keys/config.toml",
      credentials: "/home/ada/keys/credentials",
      cache: "/home/ada/keys/cache"
    }
  ],
  [
    "linux",
    { KEYFOB_HOME: "", HOME: "/home/ada" },
    {
      configFile: "/home/ada/.config/keyfob/config.toml",
      credentials: "/home/ada/.local/state/keyfob/credentials",
      cache: "/home/ada/.cache/keyfob"
    }
  ]
])("%s with %j", ([platform, env, expected]) =>
  Effect.gen(function* () {
    assert.deepStrictEqual(yield* on(platform, env), expected)
  })
)

it.effect("keeps credentials off what roams between Windows machines", () =>
  Effect.gen(function* () {
    const directories = yield* on("win32", { APPDATA: "C:\\Roaming", LOCALAPPDATA: "C:\\Local" })
    assert.match(directories.configFile, /^C:\\Roaming\\keyfob.config\.toml$/)
    assert.match(directories.credentials, /^C:\\Local\\keyfob.credentials$/)
  })
)

it.effect("a relative KEYFOB_HOME is one place, wherever it is read later", () =>
  Effect.gen(function* () {
    assert.isTrue((yield* on("linux", { KEYFOB_HOME: "here" })).cache.startsWith("/"))
  })
)

it.effect("a relative KEYFOB_HOME where the current directory is gone", () =>
  Effect.gen(function* () {
    const gone = vi.spyOn(process, "cwd").mockImplementation(() => {
      throw new Error("ENOENT: no such file or directory, uv_cwd")
    })
    const error = yield* Effect.flip(on("linux", { KEYFOB_HOME: "here" })).pipe(
      Effect.ensuring(Effect.sync(() => gone.mockRestore()))
    )
    assert.match(error.message, /KEYFOB_HOME is a relative path, and the current directory is gone/)
    assert.strictEqual(adviceOf(error).exitCode, 2)
  })
)

it.effect.each([{}, { KEYFOB_HOME: "~" }])("without a home directory: %j", (env) =>
  Effect.gen(function* () {
    const error = yield* Effect.flip(on("linux", env))
    assert.include(error.message, "KEYFOB_HOME")
    assert.strictEqual(adviceOf(error).exitCode, 2)
  })
)

it.effect("expands ~ alone", () =>
  Effect.gen(function* () {
    const env = ConfigProvider.layer(ConfigProvider.fromEnv({ env: { HOME: "/home/ada" } }))
    const paths = yield* Effect.forEach(["~", "~/a", "~bob/a", "/a~", "a/~"], expandHome).pipe(Effect.provide(env))
    assert.deepStrictEqual(paths, ["/home/ada", "/home/ada/a", "~bob/a", "/a~", "a/~"])
  })
)
