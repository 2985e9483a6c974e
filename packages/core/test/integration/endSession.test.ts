/** A person signs out where they signed in: a real browser at a certified provider. */
import { NodeHttpClient } from "@effect/platform-node"
import { assert, describe, layer } from "@effect/vitest"
import { clients, EmbeddedProvider } from "@keyfob/embedded"
import { Effect, Layer, Redacted } from "effect"
import { AuthorizationCode, CredentialStore, EndSession, Login, Logout, OAuthClient } from "keyfob"
import { createServer, type Server } from "node:http"
import type { AddressInfo } from "node:net"
import type { Page } from "playwright-core"
import * as Chromium from "../../../cli/test/Chromium.ts"
import { named } from "../scripted.ts"

/** Where the browser comes back to. */
const receiver = Effect.acquireRelease(
  Effect.callback<{ readonly server: Server; readonly uri: string }>((resume) => {
    const server = createServer((_, response) => response.end("back")).listen(0, "127.0.0.1", () => {
      const { port } = server.address() as AddressInfo // TCP, so never a string or null
      resume(Effect.succeed({ server, uri: `http://127.0.0.1:${port}/callback` }))
    })
  }),
  ({ server }) =>
    Effect.sync(() => {
      server.close()
      server.closeAllConnections()
    })
)

/** Where the browser ends up that is sent to the provider. */
const visit = (page: Page, url: Redacted.Redacted, press: ReadonlyArray<string>) =>
  Effect.promise(async () => {
    await page.goto(Redacted.value(url))
    for (const name of press) await page.getByRole("button", { name }).click()
    await page.waitForURL("**/callback?*")
    return page.url()
  })

describe("integration: end session", () => {
  layer(EmbeddedProvider.layer().pipe(Layer.merge([CredentialStore.layerMemory, NodeHttpClient.layerUndici])), {
    excludeTestServices: true
  })((it) => {
    it.effect(
      "RP-initiated logout: with the ID token as hint the browser is back with our state, and the session is over",
      () =>
        Effect.gen(function* () {
          const { issuer } = yield* EmbeddedProvider
          const options = { issuer, clientId: clients.cli.id, scopes: ["openid"] }
          const { uri: redirectUri } = yield* receiver
          const flow = AuthorizationCode.make(options)
          const silent = AuthorizationCode.make({ ...options, prompt: ["none"] })
          const { page } = yield* Chromium.open()
          const silently = Effect.gen(function* () {
            const asked = yield* Login.begin(silent, { redirectUri })
            const answer = yield* visit(page, asked.url, [])
            return named(yield* Effect.flip(Login.complete(silent, asked.pending, answer)))
          })
          const begun = yield* Login.begin(flow, { redirectUri })
          const answer = yield* visit(page, begun.url, ["Sign in", "Allow"])
          const { idToken } = yield* Login.complete(flow, begun.pending, answer)
          assert.isDefined(idToken)

          // Somebody is signed in: a native client would have to ask them whether they agree, and no more.
          assert.strictEqual(yield* silently, "ProviderRefused.InteractionRequired")

          const client = yield* OAuthClient.make(flow.client)
          const ending = yield* EndSession.begin(client, {
            ...(idToken === undefined ? {} : { idTokenHint: idToken }),
            postLogoutRedirectUri: redirectUri
          })
          assert.isTrue((yield* Logout.logout(flow)).removed)
          const returned = yield* visit(page, ending.url, ["Sign out"])
          yield* EndSession.complete(ending.pending, returned)
          const other = yield* EndSession.begin(client, { postLogoutRedirectUri: redirectUri })
          const error = yield* Effect.flip(EndSession.complete(other.pending, returned))
          assert.strictEqual(named(error), "AnswerRejected.StateMismatch")

          assert.strictEqual(yield* silently, "ProviderRefused.LoginRequired")
        }).pipe(Effect.scoped),
      120_000
    )
  })
})
