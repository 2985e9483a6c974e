/**
 * The way from a process to the provider. A request waits for its turn to leave, to arrive and to be answered; what has
 * left arrives, whether or not its sender lives to see the answer.
 */
import { Cause, Effect, Exit, type Fiber } from "effect"
import type { HttpClientRequest, HttpClientResponse } from "effect/http"
import { HttpClient, HttpClientError } from "effect/http"
import type { SimulatedProvider } from "../../src/provider.ts"
import { type Ask, CurrentAsk } from "./Ask.ts"
import type { Whose } from "./Program.ts"
import type { Exchange, Witness } from "./Witness.ts"
import type { Owner, World } from "./World.ts"

export interface Network {
  readonly world: World
  readonly witness: Witness
  readonly provider: SimulatedProvider["Service"]
  /** Reaches the provider at once. */
  readonly direct: HttpClient.HttpClient
  readonly owner: Owner
  /** Runs in nobody's process, on the true time. */
  readonly run: <A, E>(effect: Effect.Effect<A, E>) => Fiber.Fiber<A, E>
  readonly rotates: boolean
  /** Law 3: an exchange for each expiry, not one more. */
  readonly checkNeed: (by: Owner, whose: Whose, ask: Ask | undefined) => void
  /** Law 1: what a refresh token is about to be spent for is on disk. */
  readonly checkMark: (by: Owner, spent: string) => void
  /** The lease a process holds on the person's credential. */
  readonly leaseOf: (by: Owner) => object | undefined
}

type Answer = Exit.Exit<HttpClientResponse.HttpClientResponse, HttpClientError.HttpClientError>

const formOf = (request: HttpClientRequest.HttpClientRequest): URLSearchParams =>
  new URLSearchParams(request.body._tag === "Uint8Array" ? new TextDecoder().decode(request.body.body) : "")

const textOf = (value: unknown): string | undefined => (typeof value === "string" ? value : undefined)

export const clientOf = (network: Network, by: Owner): HttpClient.HttpClient => {
  const { direct, owner, provider, run, witness, world } = network

  /** What came of it, as the sender sees it. */
  const seen = (exchange: Exchange | undefined, spent: string | null, answer: Answer) =>
    Effect.gen(function* () {
      if (Exit.isFailure(answer)) {
        if (exchange === undefined) return
        exchange.state = "broken"
        exchange.isHarmless = isRefusedConnection(answer)
        return
      }
      if (exchange !== undefined) exchange.isHarmless = [429, 503].includes(answer.value.status)
      // The body can be read as often as one likes: it is in memory.
      const body = yield* Effect.exit(answer.value.text)
      if (exchange !== undefined) exchange.state = Exit.isSuccess(body) ? "whole" : "broken"
      if (Exit.isFailure(body)) return
      let json: Readonly<Record<string, unknown>> = {}
      try {
        json = { ...JSON.parse(body.value) }
      } catch {
        if (exchange !== undefined) exchange.state = "broken"
        return
      }
      const access = textOf(json["access_token"])
      const refresh = textOf(json["refresh_token"])
      const deviceCode = textOf(json["device_code"])
      for (const secret of [access, refresh, deviceCode]) {
        if (secret !== undefined) witness.secrets.add(secret)
      }
      if (answer.value.status >= 500 || answer.value.status === 429) {
        if (exchange !== undefined) exchange.state = "broken"
      }
      if (exchange !== undefined && access !== undefined)
        exchange.brought = { access, refresh: refresh ?? exchange.spent }
      if (spent !== null && json["error"] === "invalid_grant") {
        witness.refused.add(spent)
        by.refusals++
      }
    })

  return HttpClient.make((request, url) =>
    Effect.gen(function* () {
      const started = world.now
      const form = url.pathname === "/token" ? formOf(request) : new URLSearchParams()
      const spent = form.get("refresh_token")
      const bearer = /^Bearer (.+)$/.exec(request.headers["authorization"] ?? "")?.[1]
      if (url.pathname === "/api/me" && bearer !== undefined) witness.used(by, bearer, "a request", yield* CurrentAsk)
      const isExchange = spent !== null || form.get("grant_type") === "client_credentials"
      if (isExchange) network.checkNeed(by, spent === null ? "machine" : "person", yield* CurrentAsk)
      if (spent !== null) witness.sends(network.leaseOf(by))
      yield* world.turn(by, `send ${url.pathname}`)
      if (spent !== null) network.checkMark(by, spent)
      const exchange =
        spent === null ? undefined : witness.refreshSent(by, "person", spent, network.rotates, network.leaseOf(by))
      let answer: Answer | undefined
      const delivery = Effect.gen(function* () {
        yield* world.turn(owner, `${url.pathname} arrives`)
        const ended = spent === null ? 0 : yield* reuses(provider)
        answer = yield* Effect.exit(direct.execute(request))
        if (spent !== null && (yield* reuses(provider)) > ended) {
          witness.endedByReuse(spent)
        }
      })
      run(delivery)
      // What it saw belongs to it: a deadline may pass in the instant in which the answer is there (seed second/15676).
      yield* Effect.onInterrupt(
        Effect.andThen(
          world.turn(by, `answer of ${url.pathname}`, () => answer !== undefined),
          Effect.suspend(() => (answer === undefined ? Effect.void : seen(exchange, spent, answer)))
        ),
        () =>
          Effect.sync(() => {
            if (exchange === undefined) return
            exchange.state = "cut"
            // Only its own deadline may cut it (issue 4: who gives up never loses a rotation).
            if (world.now - started < 15_000) {
              witness.broken("never a lost generation", `an exchange of ${by.name} was cut off`)
            }
          })
      )
      if (answer === undefined) return yield* Effect.die(new Error("an operation went on that was not ready"))
      return yield* answer
    })
  )
}

/** Undici's way to say it: the system's word is in the cause of the cause. */
const isRefusedConnection = (answer: Answer) => {
  const error = Exit.isFailure(answer) ? Cause.squash(answer.cause) : undefined
  const cause = HttpClientError.isHttpClientError(error) ? error.reason.cause : undefined
  return cause instanceof Error && cause.cause instanceof Error && cause.cause.message === "ECONNREFUSED"
}

const reuses = (provider: SimulatedProvider["Service"]) =>
  Effect.map(provider.families, (families) => families.filter(({ ended }) => ended?.because === "reuse").length)
