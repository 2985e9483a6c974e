/** Tabs of a real browser that share a credential, at a certified provider. */
import { NodeHttpClient } from "@effect/platform-node"
import { assert, it } from "@effect/vitest"
import { clients, EmbeddedProvider, Person } from "@keyfob/embedded"
import { DateTime, Effect, Layer, Option } from "effect"
import { build } from "esbuild"
import { AccessToken, Credential, CredentialStore, CredentialText, DeviceCode, Login, UserPrompt } from "keyfob"
import { join } from "node:path"
import type { BrowserContext, Page } from "playwright-core"
import * as Chromium from "../../../cli/test/Chromium.ts"

const program = Effect.promise(() =>
  build({
    entryPoints: [join(import.meta.dirname, "page.ts")],
    bundle: true,
    format: "iife",
    write: false,
    alias: { keyfob: join(import.meta.dirname, "../../src/index.ts") },
    logLevel: "error"
  })
).pipe(Effect.map(({ outputFiles }) => outputFiles[0]?.text ?? ""))

/** A tab with the program, at an address that no server need have. */
const tab = async (context: BrowserContext, address: string, script: string) => {
  const page = await context.newPage()
  await page.route(address, (route) =>
    route.fulfill({ contentType: "text/html", body: `<!doctype html><script>${script}</script>` })
  )
  await page.goto(address)
  return page
}

const tokenOf = (page: Page) => page.evaluate(() => (globalThis as unknown as { token: () => Promise<string> }).token())

const approving = Layer.mock(UserPrompt, {
  deviceCode: (shown) => Effect.asVoid(Effect.forkScoped(Effect.orDie(Person.approve(shown))))
})

it.live(
  "two tabs that renew at the same time: one refresh, and both have the token",
  () =>
    Effect.gen(function* () {
      const { clearRequests, issuer, requests } = yield* EmbeddedProvider
      const flow = DeviceCode.make({ issuer, clientId: clients.cli.id, scopes: ["openid", "offline_access"] })
      const signedIn = yield* Login.login(flow).pipe(
        Effect.provide([approving, CredentialStore.layerMemory, NodeHttpClient.layerUndici])
      )
      const name = `keyfob:${flow.key.canonical}`
      const script = yield* program
      const { page: first } = yield* Chromium.open()
      const context = first.context()
      const tabs = yield* Effect.promise(() =>
        Promise.all([tab(context, `${issuer}/app`, script), tab(context, `${issuer}/app`, script)])
      )
      const [one] = tabs
      const expired = (credential: Credential) =>
        Credential.make({
          ...credential,
          token: AccessToken.make({ ...credential.token, expiresAt: DateTime.makeUnsafe(0) }),
          issuedAt: DateTime.makeUnsafe(0)
        })
      let credential = signedIn
      for (let round = 0; round < 5; round++) {
        const text = yield* CredentialText.encode(expired(credential))
        yield* Effect.promise(() =>
          one.evaluate(([name, text]) => localStorage.setItem(name, text), [name, text] as const)
        )
        // What one tab writes, another may see a moment later.
        yield* Effect.promise(() =>
          Promise.all(
            tabs.map((page) =>
              page.waitForFunction(([name, text]) => localStorage.getItem(name) === text, [name, text] as const)
            )
          )
        )
        yield* clearRequests
        const tokens = yield* Effect.promise(() => Promise.all(tabs.map(tokenOf)))
        assert.strictEqual(new Set(tokens).size, 1, tokens.join(" "))
        assert.notInclude(tokens.join(), " ")
        const refreshes = (yield* requests).filter(({ grantType }) => grantType === "refresh_token")
        assert.lengthOf(refreshes, 1)
        const stored = yield* Effect.promise(() => one.evaluate((name) => localStorage.getItem(name) ?? "", name))
        credential = yield* CredentialText.decode(stored)
        assert.strictEqual(credential.generation, signedIn.generation + round + 1)
      }
      assert.isTrue(Option.isSome(Option.fromUndefinedOr(credential.refreshToken)))
    }).pipe(Effect.provide(EmbeddedProvider.layer({ deviceInterval: "1 second" })), Effect.scoped),
  120_000
)

it.live(
  "a page that is not secure has no locks, and is told so",
  () =>
    Effect.gen(function* () {
      const { page } = yield* Chromium.open()
      const script = yield* program
      const insecure = yield* Effect.promise(() => tab(page.context(), "http://insecure.example/app", script))
      assert.strictEqual(yield* Effect.promise(() => tokenOf(insecure)), "ConfigurationInvalid NotSupported")
    }).pipe(Effect.scoped),
  120_000
)
