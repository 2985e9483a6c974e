import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import { decodeJwt } from "jose"
import type { Misbehaviour } from "./Fault.ts"
import type { Journal } from "./Journal.ts"
import { addressOf, type Request, type Response } from "./model/Http.ts"
import * as Machine from "./model/Machine.ts"
import { paramsOf } from "./RecordedRequest.ts"
import type { Deliver } from "./Transport.ts"
import type { Facts, Verdict } from "./Trouble.ts"

/** What a delivery is made with. */
export interface Provider {
  readonly issuer: string
  readonly journal: Journal
  /** What the request meets, which counts it. */
  readonly judge: (facts: Facts, now: number) => Verdict
  /** The provider's work on a request; `done` is called in the moment in which it has taken effect. */
  readonly step: (request: Request, done: () => void) => Effect.Effect<Response>
}

/** From the arrival of a request to what becomes of it: the trouble has its say, the provider its turn, and it goes on record. */
export const deliverer =
  ({ issuer, journal, judge, step }: Provider): Deliver =>
  (request) =>
    Effect.gen(function* () {
      const arrived = yield* Clock.currentTimeMillis
      const facts = factsOf(issuer, request)
      const { end } = journal.begin(request, facts, arrived)
      const { does, lie } = judge(facts, arrived)
      let seen = false
      const process = step({ ...request, lie }, () => {
        seen = true
      })
      const whole = (response: Response) => {
        end(response.status, response)
        return { _tag: "Whole", response } as const
      }
      const deliver: ReturnType<Deliver> = Effect.gen(function* () {
        switch (does._tag) {
          case "None":
            return whole(yield* process)
          case "Unreachable":
            end("unreachable")
            return { _tag: "Broken", how: "ECONNREFUSED" }
          case "Answer":
            return whole(answerOf(does))
          case "Delay":
            yield* Effect.sleep(does.by)
            return whole(yield* process)
          case "Hang":
            if (does.seen) yield* process
            end("hang")
            return yield* Effect.never
          case "Reset":
            if (does.seen) yield* process
            end(does.seen ? "reset after" : "reset before")
            return { _tag: "Broken", how: "ECONNRESET" }
          case "Half": {
            const response = yield* process
            end("half", response)
            return { _tag: "Half", response }
          }
          case "Twice": {
            const first = yield* process
            const again = journal.begin(request, facts, yield* Clock.currentTimeMillis)
            const second = yield* Effect.onInterrupt(process, () => Effect.sync(() => again.end("left before")))
            again.end(second.status, second)
            return whole(first)
          }
        }
      })
      return yield* Effect.onInterrupt(deliver, () => Effect.sync(() => end(seen ? "left after" : "left before")))
    })

/** What is known of a request before anybody has looked into it. */
const factsOf = (issuer: string, request: Request): Facts => {
  const params = paramsOf(request)
  return {
    endpoint: Machine.endpointOf(issuer, addressOf(issuer, request.url).pathname),
    grant: params.get("grant_type"),
    client:
      params.get("client_id") ??
      basicClient(request.headers["authorization"]) ??
      assertedClient(params.get("client_assertion")),
    params
  }
}

const answerOf = ({ body, headers, status }: Extract<Misbehaviour, { _tag: "Answer" }>): Response => {
  const isText = body === undefined || typeof body === "string"
  return {
    status,
    headers: { ...(isText ? {} : { "content-type": "application/json" }), ...headers },
    body: isText ? (body ?? "") : JSON.stringify(body)
  }
}

const assertedClient = (assertion: string | undefined) => {
  if (assertion === undefined) return undefined
  try {
    return decodeJwt(assertion).sub
  } catch {
    return undefined
  }
}

const basicClient = (authorization: string | undefined) => {
  const encoded = /^basic ([A-Za-z0-9+/=]+)$/i.exec(authorization ?? "")?.[1]
  if (encoded === undefined) return undefined
  try {
    return decodeURIComponent(atob(encoded).replace(/:.*$/s, ""))
  } catch {
    return undefined
  }
}
