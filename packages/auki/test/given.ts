import { type Context, Effect, Fiber, Layer, Redacted } from "effect"
import type { HttpClient } from "effect/http"
import { TestClock } from "effect/testing"
import { CredentialStore } from "keyfob"
import { Auki, type Settings } from "@keyfob/auki"
import { apiUrl, ddsUrl, FakeAuki, type FakeAukiOptions } from "@keyfob/auki/testing"

export const base = { api_url: apiUrl, dds_url: ddsUrl, client_id: "installation-1" }
export const alice = { email: "alice@example.com", password: Redacted.make("alice-canary") }
export const bob = { email: "bob@example.com", password: Redacted.make("bob-canary") }
export const app = { method: "app_key", app_key: "app", app_secret: Redacted.make("app-canary") } as const
export const known: FakeAukiOptions = {
  users: { [alice.email]: "alice-canary", [bob.email]: "bob-canary" },
  apps: { app: "app-canary" }
}

/** A program of these settings, the services it talks to, and the store of both. */
export const scene = (settings: Partial<Settings> = alice, options: FakeAukiOptions = {}) =>
  Auki.layerStored({ ...base, ...settings }).pipe(
    Layer.provideMerge(Layer.merge(FakeAuki.layer({ ...known, ...options }), CredentialStore.layerMemory))
  )

/** The next process on the same store, against the same services. */
export const nextProcess = <A, E>(settings: Partial<Settings>, effect: Effect.Effect<A, E, Auki>) =>
  Effect.contextWith((context: Context.Context<HttpClient.HttpClient | CredentialStore>) =>
    Effect.provide(effect, Layer.fresh(Auki.layerStored({ ...base, ...settings }))).pipe(Effect.provideContext(context))
  )

export const domain = (id: string) => Auki.use((auki) => auki.domain(id))
export const tokenOf = ({ token }: { readonly token: { readonly value: Redacted.Redacted } }) =>
  Redacted.value(token.value)

/** Lets the test's clock pass until it ends, and some real time with each second for the digests on its way. */
export const inTime = Effect.fnUntraced(function* <A, E, R>(effect: Effect.Effect<A, E, R>) {
  const fiber = yield* Effect.forkChild(effect)
  while (fiber.pollUnsafe() === undefined) {
    yield* TestClock.adjust("1 second")
    yield* Effect.promise(() => new Promise((done) => setTimeout(done, 1)))
  }
  return yield* Fiber.join(fiber)
})

/** How often each kind of request was made: `login refresh discovery domain`. */
export const counts = FakeAuki.useSync(({ to }) =>
  [to("/user/login"), to("/user/refresh"), to("/service/domains-access-token"), to("/auth")].map(({ length }) => length)
)
