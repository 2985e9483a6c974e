/** The way a person signs in where they are, at a certified provider that offers one way, or another, or both. */
import { NodeHttpClient } from "@effect/platform-node"
import { assert, describe, layer } from "@effect/vitest"
import { clients, EmbeddedProvider, Person } from "@keyfob/embedded"
import { Deferred, Effect, Layer, Redacted } from "effect"
import { Auto, CredentialStore, Login, RedirectReceiver, UserPrompt } from "keyfob"
import { named } from "../scripted.ts"

const browserOnly = {
  client_id: "browser-only",
  application_type: "native",
  token_endpoint_auth_method: "none",
  redirect_uris: ["http://127.0.0.1/callback"]
}
const Provider = EmbeddedProvider.layer({ clients: [browserOnly], deviceInterval: "1 second" }).pipe(
  Layer.merge(NodeHttpClient.layerUndici)
)

interface Scene {
  readonly atHand: boolean
  readonly metadata?: Readonly<Record<string, unknown>>
  readonly clientId?: string
  readonly decide?: typeof Person.deny
}

/** By which ways a login went, and to which end. */
const wentBy = Effect.fnUntraced(function* ({ atHand, clientId, decide = Person.approve, metadata }: Scene) {
  const { failNext, issuer } = yield* EmbeddedProvider
  if (metadata !== undefined) yield* failNext("/.well-known/openid-configuration", { altered: metadata })
  const ways: Array<string> = []
  const came = yield* Deferred.make<Redacted.Redacted>()
  const person = Layer.merge(
    Layer.mock(UserPrompt, {
      browser: ({ url }) => {
        ways.push("browser")
        return decide(url, { followRedirect: false }).pipe(
          Effect.flatMap((visit) => Deferred.succeed(came, Redacted.make(visit.url))),
          Effect.orDie,
          Effect.asVoid
        )
      },
      deviceCode: (shown) => {
        ways.push("device")
        return Effect.asVoid(Effect.orDie(decide(shown)))
      }
    }),
    Layer.succeed(RedirectReceiver, {
      open: () => Effect.succeed({ redirectUri: "http://127.0.0.1:49152/callback", answer: Deferred.await(came) })
    })
  )
  const flow = Auto.make({
    issuer,
    clientId: clientId ?? clients.cli.id,
    scopes: ["openid"],
    browserAtHand: Effect.succeed(atHand)
  })
  const result = yield* Effect.result(Effect.provide(Login.login(flow), [person, CredentialStore.layerMemory]))
  return [...ways, result._tag === "Success" ? "signed in" : named(result.failure)].join(", ")
})

describe("integration: auto", () => {
  layer(Provider, { excludeTestServices: true })((it) => {
    for (const [where, scene, way] of [
      ["a browser is at hand", { atHand: true }, "browser, signed in"],
      ["none is", { atHand: false }, "device, signed in"],
      [
        "none is, and the metadata have no device flow",
        { atHand: false, metadata: { device_authorization_endpoint: undefined } },
        "browser, signed in"
      ],
      [
        "one is, and the metadata have no page to sign in at",
        { atHand: true, metadata: { authorization_endpoint: undefined } },
        "device, signed in"
      ],
      [
        "one is, and the metadata have no S256",
        { atHand: true, metadata: { code_challenge_methods_supported: ["plain"] } },
        "device, signed in"
      ],
      [
        "none is, and this client may not use device codes",
        { atHand: false, clientId: browserOnly.client_id },
        "browser, signed in"
      ],
      ["they say no in the browser", { atHand: true, decide: Person.deny }, "browser, LoginFailed.Denied"],
      ["they say no at the device", { atHand: false, decide: Person.deny }, "device, LoginFailed.Denied"]
    ] as ReadonlyArray<readonly [string, Scene, string]>) {
      it.effect(`where ${where}: ${way}`, () =>
        Effect.gen(function* () {
          assert.strictEqual(yield* wentBy(scene), way)
        })
      )
    }
  })
})
