/**
 * Many credentials kept warm over many simulated days: nights in which the machine sleeps, outages, answers that are lost.
 * The provider is a few lines that answer at once, so that the time it takes is Keyfob's.
 *
 * What must hold is looked at with every request and every hour: a refresh token is spent once (again only where the answer
 * was lost), nobody is asked to sign in, whoever asks for a token gets one the provider takes, out of memory unless the
 * machine just woke or the provider is in trouble, and what is stored is what the provider gave last.
 */
import { Clock, DateTime, Effect, Layer, Option, Redacted, Stream } from "effect"
import { HttpClient, HttpClientResponse } from "effect/http"
import { TestClock } from "effect/testing"
import { AccessToken, Credential, CredentialStore, DeviceCode, KeepWarm, TokenSource } from "keyfob"

export interface Fleet {
  readonly credentials: number
  readonly days: number
}

export interface Report {
  readonly exchanges: number
  readonly failures: number
  readonly lostAnswers: number
  readonly hoursAwake: number
  /** Tokens that were asked for and were there, in memory. */
  readonly warm: number
  /** Tokens that were asked for, and made the caller wait or go without. */
  readonly cold: number
  readonly broken: ReadonlyArray<string>
}

const issuer = "https://id.fleet.test"
const hour = 3_600_000

/** Of a hundred credentials one lives an hour, nineteen live eight hours, eighty a day. */
const lifetimeOf = (index: number) => (index % 100 === 0 ? hour : index % 100 < 20 ? 8 * hour : 24 * hour)

interface Session {
  readonly flow: ReturnType<typeof DeviceCode.make>
  readonly lifetime: number
  generation: number
  /** The answer to this generation was lost: it may come once more. */
  lost: number
  endsAt: number
}

export const run = Effect.fnUntraced(function* ({ credentials, days }: Fleet): Effect.fn.Return<Report> {
  const broken: Array<string> = []
  const count = { exchanges: 0, failures: 0, lostAnswers: 0, hoursAwake: 0, warm: 0, cold: 0 }
  let slept = 0
  const inner = yield* TestClock.testClockWith(Effect.succeed)
  const now = () => inner.currentTimeMillisUnsafe() + slept
  /** Timers and the steady clock stand still while the machine sleeps. */
  const clock: Clock.Clock = { ...inner, currentTimeMillisUnsafe: now, currentTimeMillis: Effect.sync(now) }

  const sessions = Array.from({ length: credentials }, (_, index): Session => {
    const flow = DeviceCode.make({ issuer, clientId: "fleet", account: String(index) })
    return { flow, lifetime: lifetimeOf(index), generation: 1, lost: 0, endsAt: lifetimeOf(index) }
  })
  const tokensOf = (index: number, session: Session) => ({
    access_token: `a/${index}/${session.generation}`,
    refresh_token: `r/${index}/${session.generation}`,
    expires_in: session.lifetime / 1000
  })

  /** What the provider is up to: two outages a week of six hours, and two hours in three days in which answers are lost. */
  const weatherAt = (millis: number) => {
    const at = (millis / hour) % (7 * 24)
    if (at >= 34 && at < 40) return "503"
    if (at >= 100 && at < 106) return "429"
    const lossy = (millis / hour) % 72
    return lossy >= 12 && lossy < 14 ? "lossy" : "fair"
  }
  /** A quarter of an hour after trouble everything is to be as if it had not been. */
  const isFair = () => weatherAt(now()) === "fair" && weatherAt(now() - hour / 4) === "fair"

  const answer = (form: URLSearchParams): readonly [number, object] => {
    const [, index, generation] = (form.get("refresh_token") ?? "").split("/").map(Number)
    const session = sessions[index ?? -1]
    if (session === undefined || generation === undefined) return [400, { error: "invalid_request" }]
    const sky = weatherAt(now())
    if (sky === "503" || sky === "429") {
      count.failures++
      return [Number(sky), {}]
    }
    const isReplay = generation === session.lost && generation === session.generation - 1
    if (generation !== session.generation && !isReplay) {
      broken.push(`${index}: spent ${generation}, which was spent before (now ${session.generation})`)
      return [400, { error: "invalid_grant" }]
    }
    count.exchanges++
    if (!isReplay) session.generation++
    session.endsAt = now() + session.lifetime
    if (sky !== "lossy" || isReplay || session.generation % 3 !== 0) return [200, tokensOf(index ?? -1, session)]
    count.lostAnswers++
    session.lost = generation
    return [500, {}]
  }

  const metadata = { issuer, token_endpoint: `${issuer}/token`, device_authorization_endpoint: `${issuer}/device` }
  const http = HttpClient.make((request, url) =>
    Effect.sync(() => {
      const form = request.body._tag === "Uint8Array" ? new TextDecoder().decode(request.body.body) : ""
      const [status, json] = url.pathname === "/token" ? answer(new URLSearchParams(form)) : ([200, metadata] as const)
      const headers = { "content-type": "application/json" }
      const response = HttpClientResponse.fromWeb(request, new Response(null, { status, headers }))
      // A body that is there at once: those of the platform take promises, and the test's clock would not wait for them.
      const stream = Stream.succeed(new TextEncoder().encode(JSON.stringify(json)))
      return Object.create(response, { stream: { value: stream } }) as typeof response
    })
  )

  const program = Effect.gen(function* () {
    const store = yield* CredentialStore
    const { add } = yield* KeepWarm
    const sources = yield* Effect.forEach(sessions, (session, index) =>
      Effect.gen(function* () {
        const tokens = tokensOf(index, session)
        const first = Credential.make({
          key: session.flow.key,
          generation: 1,
          token: AccessToken.make({
            value: Redacted.make(tokens.access_token),
            type: "Bearer",
            expiresAt: DateTime.makeUnsafe(session.endsAt),
            scopes: []
          }),
          issuedAt: DateTime.makeUnsafe(0),
          refreshToken: Redacted.make(tokens.refresh_token)
        })
        yield* store.modify(first.key, (slot) => slot.write(first))
        const source = yield* TokenSource.make(session.flow)
        yield* add(source)
        return source
      })
    )

    /** Everybody asks; whoever may have to wait gets a moment for it. */
    const look = Effect.fnUntraced(function* (justWoke: boolean) {
      for (const [index, source] of sources.entries()) {
        const session = sessions[index]
        if (session === undefined) continue
        const before = count.exchanges + count.failures
        const asked = Effect.map(Effect.result(source.token), (result) => ({ result, at: now() }))
        const fiber = yield* Effect.forkChild(asked, { startImmediately: true })
        for (let second = 0; fiber.pollUnsafe() === undefined && second < 60; second++) {
          yield* TestClock.adjust("1 second")
        }
        const exit = fiber.pollUnsafe()
        const { at, result } = exit?._tag === "Success" ? exit.value : { at: now(), result: undefined }
        const waited = count.exchanges + count.failures > before
        if (result?._tag === "Success" && !waited) count.warm++
        else count.cold++
        if (result?._tag === "Success") {
          const [, , generation] = Redacted.value(result.success.value).split("/").map(Number)
          const isTaken = at < session.endsAt && (generation ?? 0) >= session.generation - 1
          if (!isTaken) broken.push(`${index}: was given generation ${generation} of ${session.generation}`)
          if (waited && !justWoke && isFair()) broken.push(`${index}: a caller had to ask the provider`)
        } else if (result?._tag !== "Failure" || result.failure._tag !== "ProviderUnavailable") {
          broken.push(`${index}: ${result?._tag === "Failure" ? result.failure.message : "no end"}`)
        } else if (isFair() && !justWoke) broken.push(`${index}: ${result.failure.message}`)
        const stored = Option.getOrUndefined(yield* store.get(session.flow.key))
        const kept = stored?.refreshToken === undefined ? "" : Redacted.value(stored.refreshToken)
        const isKept = kept === `r/${index}/${session.generation}` || kept === `r/${index}/${session.lost}`
        if (!isKept) broken.push(`${index}: ${kept} is stored, the provider gave ${session.generation}`)
      }
    })

    for (let day = 0; day < days; day++) {
      for (let awake = 0; awake < 16; awake++) {
        yield* TestClock.adjust("1 hour")
        count.hoursAwake++
        yield* look(awake === 0)
      }
      slept += 8 * hour
      yield* look(true)
    }
  }).pipe(
    Effect.provide(KeepWarm.layer([])),
    Effect.scoped,
    Effect.orDie,
    Effect.provide([CredentialStore.layerMemory, Layer.succeed(HttpClient.HttpClient, http)]),
    Effect.provideService(Clock.Clock, clock)
  )
  yield* program
  return { ...count, broken }
})
