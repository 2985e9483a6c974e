/** A host as one in another language is: between two steps it has an id, a text, and nothing else. */
import { assert } from "@effect/vitest"
import { Clock, Effect, Redacted, Schema } from "effect"
import { HttpClient, HttpClientRequest } from "effect/http"
import { TestClock } from "effect/testing"
import { SansIo } from "keyfob"

export type Request = Extract<SansIo.Action, { readonly _tag: "Request" }>
export type Asked = Extract<SansIo.Action, { readonly _tag: "DeviceCode" | "Browser" }>

export const requestsOf = (actions: ReadonlyArray<SansIo.Action>) =>
  actions.filter((action): action is Request => action._tag === "Request")

const json = Schema.fromJsonString(SansIo.State)
/** What another process reads. */
export const told = (state: SansIo.State) => Schema.decodeEffect(json)(Schema.encodeSync(json)(state))

/** Sends a request as it is. */
export const send = Effect.fnUntraced(function* ({ body, headers, method, url }: Request) {
  const request = HttpClientRequest.make(method as "POST")(url).pipe(
    HttpClientRequest.setHeaders(Redacted.value(headers)),
    body === undefined
      ? (same) => same
      : HttpClientRequest.bodyText(Redacted.value(body), Redacted.value(headers)["content-type"])
  )
  const response = yield* HttpClient.execute(request)
  return { status: response.status, headers: { ...response.headers }, body: yield* response.text }
})

/** What stays the same of a request that is listed again: all but the signatures that chance is in. */
const fixed = ({ body, headers, id, method, url }: Request) => {
  const unsigned = (jwt: string) => jwt.split(".").slice(0, 2).join(".")
  const { dpop = "", ...rest } = Redacted.value(headers)
  const form = new URLSearchParams(body === undefined ? "" : Redacted.value(body))
  form.set("client_assertion", unsigned(form.get("client_assertion") ?? ""))
  return { id, method, url, headers: rest, dpop: unsigned(dpop), form: form.toString() }
}

/**
 * Drives a program to its end, every step in a process of its own. Each request is sent once, and held against what is
 * listed under its id later.
 *
 * @param person what comes of what is shown, as often as it is
 */
export const drive = Effect.fnUntraced(function* <A, E, R = never, P = never>(
  program: () => Effect.Effect<A, E, SansIo.Provided>,
  { person, redirectUri }: SansIo.HostOptions & { person?: (asked: Asked) => Effect.Effect<string | void, P, R> } = {}
) {
  const states: Array<string> = []
  const listed = new Map<number, ReturnType<typeof fixed>>()
  const now = Clock.currentTimeMillis
  let machine = yield* SansIo.start(program(), { now: yield* now, redirectUri })
  for (let step = 0; machine.exit === undefined; step++) {
    assert.isBelow(step, 200, "it goes round in circles")
    const state = yield* told(machine.state)
    states.push(JSON.stringify(state))
    const requests = requestsOf(machine.actions)
    for (const request of requests) {
      assert.deepStrictEqual(fixed(request), listed.get(request.id) ?? fixed(request))
      listed.set(request.id, fixed(request))
    }
    const [request] = requests
    const asked = machine.actions.find((action): action is Asked => "id" in action && action._tag !== "Request")
    if (request !== undefined) {
      machine = yield* SansIo.feed(program(), state, { id: request.id, ...(yield* send(request)), now: yield* now })
      continue
    }
    const answer = asked === undefined || person === undefined ? undefined : yield* person(asked)
    if (asked !== undefined && typeof answer === "string") {
      machine = yield* SansIo.feed(program(), state, { id: asked.id, body: answer, now: yield* now })
      continue
    }
    const wait = machine.actions.find(({ _tag }) => _tag === "Wait")
    if (wait?._tag !== "Wait") return assert.fail("it waits for nobody")
    yield* TestClock.setTime(wait.until)
    machine = yield* SansIo.feed(program(), state, { now: yield* now })
  }
  return { exit: machine.exit, value: yield* machine.exit, states, requests: [...listed.values()] }
})
