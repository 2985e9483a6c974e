import * as Effect from "effect/Effect"
import * as Authorization from "./Authorization.ts"
import * as Device from "./Device.ts"
import { discovery } from "./Discovery.ts"
import * as Dpop from "./Dpop.ts"
import { endSession } from "./EndSession.ts"
import { json, type Request, type Response, text } from "./Http.ts"
import { introspection } from "./Introspection.ts"
import * as Keys from "./Keys.ts"
import { altered, type Lie } from "./Lie.ts"
import { protectedResource } from "./ProtectedResource.ts"
import { refuse, type Refusal, responseOf } from "./Refusal.ts"
import { registration } from "./Registration.ts"
import { revocation } from "./Revocation.ts"
import type { State } from "./State.ts"
import { sweep } from "./Sweep.ts"
import { token } from "./Token.ts"
import { begin, type Turn } from "./Turn.ts"
import { userinfo } from "./Userinfo.ts"

/** The names of everything a provider can be asked. */
export type Endpoint =
  | "discovery"
  | "jwks"
  | "authorization"
  | "pushed_authorization_request"
  | "sign_in_page"
  | "registration"
  | "token"
  | "device_authorization"
  | "device_page"
  | "userinfo"
  | "introspection"
  | "revocation"
  | "end_session"
  | "api"

interface Route {
  readonly endpoint: Endpoint
  readonly methods: ReadonlyArray<string>
  readonly answer: (turn: Turn) => Effect.Effect<Response, Refusal>
}

const get = ["GET", "HEAD"]
const post = ["POST"]
const both = [...get, ...post]

/** By path behind the issuer. */
const routes: Readonly<Record<string, Route>> = {
  "/.well-known/openid-configuration": { endpoint: "discovery", methods: get, answer: discovery },
  "/jwks": { endpoint: "jwks", methods: get, answer: Keys.jwks },
  "/authorize": { endpoint: "authorization", methods: both, answer: Authorization.authorization },
  "/par": { endpoint: "pushed_authorization_request", methods: post, answer: Authorization.pushedAuthorization },
  "/interaction": { endpoint: "sign_in_page", methods: both, answer: Authorization.signInPage },
  "/register": { endpoint: "registration", methods: post, answer: registration },
  "/token": { endpoint: "token", methods: post, answer: token },
  "/device_authorization": { endpoint: "device_authorization", methods: post, answer: Device.deviceAuthorization },
  "/device": { endpoint: "device_page", methods: both, answer: Device.verificationPage },
  "/userinfo": { endpoint: "userinfo", methods: both, answer: userinfo },
  "/introspect": { endpoint: "introspection", methods: post, answer: introspection },
  "/revoke": { endpoint: "revocation", methods: post, answer: revocation },
  "/end_session": { endpoint: "end_session", methods: both, answer: endSession },
  "/api": { endpoint: "api", methods: ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"], answer: protectedResource }
}

const routeOf = (issuer: string, path: string): Route | undefined => {
  const base = new URL(issuer).pathname.replace(/\/$/, "")
  // RFC 8414 section 3: before the issuer's path.
  if (path === `/.well-known/oauth-authorization-server${base}`) return routes["/.well-known/openid-configuration"]
  if (!path.startsWith(`${base}/`)) return undefined
  const inside = path.slice(base.length)
  // Two have a name behind theirs.
  return routes[inside.replace(/^(\/api|\/interaction)\/.*$/, "$1")]
}

/** What a path is for, if it is for anything. */
export const endpointOf = (issuer: string, path: string): Endpoint | undefined => routeOf(issuer, path)?.endpoint

/** One request: from a state and an instant to the next state and the answer. Signing is the only effect in it. */
export const step = Effect.fnUntraced(function* (
  state: State,
  request: Request,
  now: number
): Effect.fn.Return<readonly [State, Response]> {
  const turn = begin(state, request, now)
  yield* Keys.keepUp(turn)
  const route = routeOf(state.settings.issuer, turn.url.pathname)
  const response = yield* route === undefined
    ? Effect.succeed(text("Not Found", 404))
    : Effect.catch(answer(turn, route), (refusal) => Effect.succeed(responseOf(refusal)))
  const nonce = route === undefined ? {} : Dpop.nonceHeader(turn.state, now)
  const said = lied(response, request.lie?.members)
  return [sweep(turn.state, now), { ...said, headers: { ...said.headers, ...nonce } }]
})

const anyBody: ReadonlyArray<Endpoint> = ["api", "userinfo", "registration"]

const answer = (turn: Turn, { answer, endpoint, methods }: Route): Effect.Effect<Response, Refusal> => {
  const { headers, method } = turn.request
  if (!methods.includes(method)) return Effect.succeed(text("Method Not Allowed", 405, { allow: methods.join(", ") }))
  const isForm = /^application\/x-www-form-urlencoded\s*(;|$)/i.test(headers["content-type"] ?? "")
  if (method === "POST" && !anyBody.includes(endpoint) && !isForm) {
    return Effect.fail(
      refuse("invalid_request", "only application/x-www-form-urlencoded content-type bodies are supported")
    )
  }
  return answer(turn)
}

/** A JSON answer with other members; any other answer as it is. */
const lied = (response: Response, members: Lie["members"]): Response => {
  if (members === undefined || !/json/.test(response.headers["content-type"] ?? "")) return response
  return json(altered(JSON.parse(response.body), members), response.status, response.headers)
}
