import { assert, describe, it } from "@effect/vitest"
import { DateTime, Effect, Layer, Redacted } from "effect"
import { TestClock } from "effect/testing"
import {
  AccessToken,
  CredentialStore,
  Explain,
  ProviderUnavailable,
  TokenChain,
  TokenSource,
  TokenTargets
} from "keyfob"
import { metadata, provider, scripted } from "../scripted.ts"
import { credential, machine, person, tokens, withoutRefreshToken, write } from "./given.ts"

class Network extends TokenSource.Service<Network>()("test/Network") {}
class Discovery extends TokenChain.Service<Discovery>()("test/Discovery") {}
class Domains extends TokenTargets.Service<Domains>()("test/Domains") {}

const granted = (target: string, hours: number) =>
  Effect.map(DateTime.now, (issuedAt) => ({
    target,
    issuedAt,
    token: AccessToken.make({
      value: Redacted.make("canary"),
      type: "Bearer",
      expiresAt: DateTime.add(issuedAt, { hours }),
      scopes: []
    })
  }))

const down = new ProviderUnavailable({ reason: "ServerError", endpoint: "token", host: "dds.example", status: 503 })

const scene = () => {
  const http = scripted({ ...provider, [metadata.token_endpoint]: [tokens(2)] })
  const layer = Domains.layer(Discovery, {
    name: "domain",
    exchange: (_, target) => (target === "broken" ? Effect.fail(down) : granted(target, 1))
  }).pipe(
    Layer.provideMerge(Discovery.layer(Network, { name: "discovery", exchange: () => granted("", 8) })),
    Layer.provideMerge(Network.layerStored(person)),
    Layer.provideMerge(Layer.merge(CredentialStore.layerMemory, http.layer))
  )
  return { http, layer }
}

const sources = (...ids: ReadonlyArray<string>) => Domains.useSync(({ source }) => ids.map(source))
const plan = (...ids: ReadonlyArray<string>) => Effect.flatMap(sources(...ids), Explain.plan)
const steps = (plan: Explain.Plan) => Explain.json(plan).nodes.map(({ name, standing, step }) => [name, standing, step])

describe("Explain", () => {
  it.effect("before anything: every level says what it would ask for, and nobody is asked", () => {
    const { http, layer } = scene()
    return Effect.gen(function* () {
      assert.deepStrictEqual(steps(yield* plan("a")), [
        ["login", "absent", "sign in"],
        ["discovery", "absent", "exchange"],
        ["domain a", "absent", "exchange"]
      ])
      yield* write(credential())
      assert.deepStrictEqual(steps(yield* plan("a"))[0], ["login", "fresh", "nothing"])
      assert.lengthOf(http.requests, 0)
    }).pipe(Effect.provide(layer))
  })

  it.effect("only what is asked for counts: a parent that ended is left alone while its child serves", () => {
    const { layer } = scene()
    return Effect.gen(function* () {
      yield* write(credential())
      yield* Domains.use(({ token }) => token("a"))
      yield* TestClock.adjust("2 hours")
      assert.deepStrictEqual(steps(yield* plan("a")), [
        ["login", "ended", "nothing"],
        ["discovery", "fresh", "nothing"],
        ["domain a", "ended", "exchange"]
      ])
      yield* TestClock.adjust("7 hours")
      assert.deepStrictEqual(
        steps(yield* plan("a")).map(([, , step]) => step),
        ["refresh", "exchange", "exchange"]
      )
      yield* write(withoutRefreshToken(credential()))
      assert.deepStrictEqual(steps(yield* plan("a"))[0], ["login", "ended", "sign in"])
    }).pipe(Effect.provide(layer))
  })

  it.effect(
    "a session that the provider ended is signed in anew, whatever is left of it; a machine has the next by itself",
    () => {
      const { layer } = scene()
      return Effect.gen(function* () {
        yield* write(credential(1, { refused: true }))
        assert.deepStrictEqual(steps(yield* plan("a"))[0], ["login", "refused", "sign in"])
        for (const [canObtain, step] of [
          [undefined, "obtain"],
          [true, "obtain"],
          [false, "sign in"]
        ] as const) {
          const said = canObtain === undefined ? {} : { canObtain: Effect.succeed(canObtain) }
          const robot = yield* TokenSource.make({ ...machine, ...said })
          assert.deepStrictEqual(steps(yield* Explain.plan([robot])), [["login", "absent", step]])
        }
      }).pipe(Effect.scoped, Effect.provide(layer))
    }
  )

  it.effect("past its soft point a token serves while the next is had", () => {
    const { layer } = scene()
    return Effect.gen(function* () {
      yield* write(credential())
      yield* Domains.use(({ token }) => token("a"))
      yield* TestClock.adjust("50 minutes")
      const domain = Explain.json(yield* plan("a")).nodes.at(-1)
      assert.deepInclude(domain, { standing: "due", step: "exchange", in_background: true })
      assert.strictEqual(domain?.expires_at, "1970-01-01T01:00:00.000Z")
    }).pipe(Effect.provide(layer))
  })

  it.effect("and what that is had for is in the background too, unless somebody else waits for it", () => {
    const { layer } = scene()
    return Effect.gen(function* () {
      yield* write(credential())
      const [network, discovery] = [yield* Network, yield* Discovery]
      yield* discovery.token
      yield* TestClock.adjust("7 hours")
      const beside = Effect.fnUntraced(function* (...sources: ReadonlyArray<TokenSource.TokenSource>) {
        const { nodes } = Explain.json(yield* Explain.plan(sources))
        return nodes.map(({ in_background, step }) => [step, in_background])
      })
      assert.deepStrictEqual(yield* beside(discovery), [
        ["refresh", true],
        ["exchange", true]
      ])
      assert.deepStrictEqual(yield* beside(network, discovery), [
        ["refresh", false],
        ["exchange", true]
      ])
    }).pipe(Effect.provide(layer))
  })

  it.effect("a token that has no successor serves to its end", () => {
    const { http, layer } = scene()
    return Effect.gen(function* () {
      yield* write(withoutRefreshToken(credential()))
      yield* TestClock.adjust("3590 seconds")
      const network = yield* Network
      const [level] = Explain.json(yield* Explain.plan([network])).nodes
      assert.deepInclude(level, { standing: "due", step: "sign in", in_background: true })
      yield* network.token
      yield* TestClock.adjust("10 seconds")
      const [after] = Explain.json(yield* Explain.plan([network])).nodes
      assert.deepInclude(after, { standing: "ended", step: "sign in", in_background: false })
      assert.strictEqual((yield* Effect.flip(network.token))._tag, "LoginRequired")
      assert.lengthOf(http.requests, 0)
    }).pipe(Effect.provide(layer))
  })

  it.effect("afterwards: what happened at each level, and to which target", () => {
    const { layer } = scene()
    return Effect.gen(function* () {
      yield* write(credential())
      const { tokens } = yield* Domains
      const { plan } = yield* Explain.watch(yield* sources("a", "broken"), tokens(["a", "broken"]))
      assert.deepStrictEqual(
        Explain.json(plan).nodes.map(({ happened, name }) => [name, happened]),
        [
          ["login", []],
          ["discovery", ["Renewed"]],
          ["domain a", ["Renewed"]],
          ["domain broken", ["Transient: the provider has trouble"]]
        ]
      )
      assert.include(Explain.text(plan), "domain broken: absent; exchange, since there is no token of this session\n")
      assert.notInclude(Explain.text(plan) + Explain.mermaid(plan), "canary")
    }).pipe(Effect.provide(layer))
  })

  it.effect("drawn: levels that are shared are drawn once, and names from outside cannot break out", () => {
    const { layer } = scene()
    return Effect.gen(function* () {
      yield* write(credential())
      yield* Domains.use(({ token }) => token("a"))
      assert.deepStrictEqual(Explain.mermaid(yield* plan("a", 'b"]\nclick 0 "javascript:')).split("\n"), [
        "flowchart TD",
        '  0["login<br/>fresh until 1970-01-01T01:00:00.000Z"]',
        '  1["discovery<br/>fresh until 1970-01-01T08:00:00.000Z"]',
        '  2["domain a<br/>fresh until 1970-01-01T01:00:00.000Z"]',
        '  3("domain b#quot;#93; click 0 #quot;javascript:<br/>absent<br/>exchange")',
        "  0 --> 1",
        "  1 --> 2",
        '  1 -->|"exchange"| 3'
      ])
    }).pipe(Effect.provide(layer))
  })
})
