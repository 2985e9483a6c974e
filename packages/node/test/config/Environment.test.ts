import { assert, it } from "@effect/vitest"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import { adviceOf } from "keyfob"
import * as Environment from "../../src/config/Environment.ts"

const readFrom = (env: Record<string, string>) =>
  Environment.read.pipe(Effect.provide(ConfigProvider.layer(ConfigProvider.fromEnv({ env }))))

it.effect("reads every variable", () =>
  Effect.gen(function* () {
    const { clientSecret, formerStorePassphrase, privateKey, privateKeyPassphrase, ...more } = yield* readFrom({
      HOME: "/home/ada",
      KEYFOB_CONTEXT: "work",
      KEYFOB_CONFIG: "~/k.toml",
      KEYFOB_OUTPUT: "json",
      KEYFOB_NON_INTERACTIVE: "1",
      KEYFOB_CA_FILE: "~/ca.pem",
      SSL_CERT_FILE: "/etc/ssl/cert.pem",
      KEYFOB_CLIENT_SECRET: "s3cret",
      KEYFOB_STORE_PASSPHRASE: "open sesame",
      KEYFOB_FORMER_STORE_PASSPHRASE: "open barley",
      KEYFOB_STORE_URL: "redis://127.0.0.1",
      KEYFOB_PRIVATE_KEY: "key",
      KEYFOB_PRIVATE_KEY_PASSPHRASE: "open wheat",
      KEYFOB_PASSWORD: "pass",
      KEYFOB_TOKEN: "token",
      KEYFOB_REFRESH_TOKEN: "refresh",
      KEYFOB_APP_SECRET: "app"
    })
    const { appSecret, password, refreshToken, storePassphrase, storeUrl, token, ...rest } = more
    assert.deepStrictEqual(rest, {
      context: "work",
      configFile: "/home/ada/k.toml",
      output: "json",
      nonInteractive: true,
      color: true,
      caFile: "/home/ada/ca.pem"
    })
    assert.strictEqual(clientSecret && Redacted.value(clientSecret), "s3cret")
    assert.strictEqual(String(privateKey), "<redacted>")
    assert.strictEqual(privateKeyPassphrase && Redacted.value(privateKeyPassphrase), "open wheat")
    assert.strictEqual(String(storePassphrase), "<redacted>")
    assert.strictEqual(formerStorePassphrase && Redacted.value(formerStorePassphrase), "open barley")
    assert.strictEqual(String(storeUrl), "<redacted>")
    assert.deepStrictEqual(
      [password, token, refreshToken, appSecret].map((secret) => secret && Redacted.value(secret)),
      ["pass", "token", "refresh", "app"]
    )
  })
)

it.effect("empty counts as absent", () =>
  Effect.gen(function* () {
    const names = [
      "CONTEXT",
      "CONFIG",
      "OUTPUT",
      "NON_INTERACTIVE",
      "CA_FILE",
      "CLIENT_SECRET",
      "STORE_PASSPHRASE",
      "FORMER_STORE_PASSPHRASE",
      "STORE_URL",
      "PRIVATE_KEY",
      "PRIVATE_KEY_PASSPHRASE",
      "PASSWORD",
      "TOKEN",
      "REFRESH_TOKEN",
      "APP_SECRET"
    ]
    const { color: _, ...environment } = yield* readFrom({
      ...Object.fromEntries(names.map((name) => [`KEYFOB_${name}`, ""])),
      CI: ""
    })
    assert.deepStrictEqual([...new Set(Object.values(environment))], [undefined])
  })
)

it.effect("SSL_CERT_FILE stands in for KEYFOB_CA_FILE", () =>
  Effect.gen(function* () {
    assert.strictEqual((yield* readFrom({ SSL_CERT_FILE: "/c.pem" })).caFile, "/c.pem")
  })
)

it.effect.each<readonly [Record<string, string>, boolean]>([
  [{ CI: "true" }, true],
  [{ CI: "1" }, true],
  [{ CI: "woodpecker" }, true],
  [{ CI: "false" }, false],
  [{ CI: "true", KEYFOB_NON_INTERACTIVE: "no" }, false],
  [{ KEYFOB_NON_INTERACTIVE: "TRUE" }, true],
  [{ KEYFOB_NON_INTERACTIVE: "off" }, false]
])("%j means non-interactive: %s", ([env, expected]) =>
  Effect.gen(function* () {
    assert.strictEqual((yield* readFrom(env)).nonInteractive, expected)
  })
)

it.effect.each<readonly [Record<string, string>, boolean]>([
  [{ NO_COLOR: "1" }, false],
  [{ NO_COLOR: "", TERM: "xterm" }, true],
  [{ TERM: "dumb" }, false]
])("%j means color: %s", ([env, expected]) =>
  Effect.gen(function* () {
    assert.strictEqual((yield* readFrom(env)).color, expected)
  })
)

it.effect.each<readonly [string, string, RegExp]>([
  ["KEYFOB_NON_INTERACTIVE", "maybe", /KEYFOB_NON_INTERACTIVE .*true, yes, on, 1 .*false/],
  ["KEYFOB_NON_INTERACTIVE", "constructor", /KEYFOB_NON_INTERACTIVE/],
  ["KEYFOB_OUTPUT", "xml", /KEYFOB_OUTPUT .*text.*json/],
  ["KEYFOB_CONFIG", "~/x", /home directory/]
])("%s=%s is refused", ([name, value, message]) =>
  Effect.gen(function* () {
    const error = yield* Effect.flip(readFrom({ [name]: value }))
    assert.match(error.message, message)
    assert.strictEqual(adviceOf(error).exitCode, 2)
  })
)
