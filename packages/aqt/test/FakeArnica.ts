/**
 * Arnica and its tenant, made from the documented shapes: the simulated provider under the tenant's paths (which takes
 * JSON at the token endpoint, as the tenant does), and jobs for whoever brings a token for the API, or an ID token of the
 * device client.
 */
import { SimulatedProvider } from "@keyfob/testing/Provider"
import { Clock, Context, type Duration, Effect, Layer } from "effect"
import { HttpBody, HttpClient, HttpClientError, HttpClientRequest, HttpClientResponse } from "effect/http"
import { createLocalJWKSet, type JSONWebKeySet, jwtVerify } from "jose"
import { Promised } from "keyfob"

export const issuer = "https://tenant.arnica.test/"
export const arnicaUrl = "https://arnica.test/api"
export const deviceClientId = "device-client"
export const machine = { client_id: "machine", client_secret: "machine-secret" }
export const jobId = "7b4c1a52-8d3f-4d1b-9f0e-2a6c55f1e001"

/** A request as it came in. */
export interface Seen {
  readonly path: string
  readonly type: string
  readonly form: Readonly<Record<string, string>>
}

export type Answer = { readonly status: number; readonly body?: unknown } | "reset" | "silent"

export const state = (response: object) => ({
  job: { job_id: jobId, job_type: "quantum_circuit", label: "bell", resource_id: "ibex", workspace_id: "w" },
  response
})
export const is = (response: object): Answer => ({ status: 200, body: state(response) })

const paths: Readonly<Record<string, string>> = {
  "/oauth/token": "token",
  "/oauth/device/code": "device_authorization",
  "/oauth/revoke": "revoke",
  "/.well-known/jwks.json": "jwks"
}

const formOf = ({ body }: HttpClientRequest.HttpClientRequest): Readonly<Record<string, string>> => {
  if (body._tag !== "Uint8Array") return {}
  const text = new TextDecoder().decode(body.body)
  return /json/.test(body.contentType) ? JSON.parse(text) : Object.fromEntries(new URLSearchParams(text))
}

export class FakeArnica extends Context.Service<
  FakeArnica,
  {
    readonly idp: SimulatedProvider["Service"]
    readonly seen: ReadonlyArray<Seen>
    /** What the next requests for a job are answered, in this order; the last one stays. */
    readonly jobs: (...answers: ReadonlyArray<Answer>) => void
    /** The tokens that requests for jobs have brought. */
    readonly brought: ReadonlyArray<string>
  }
>()("test/FakeArnica") {
  /**
   * @param at where the tenant is, with a slash at its end
   * @param signed how ID tokens are
   */
  static readonly layer = (
    at = issuer,
    deviceInterval: Duration.Input = "5 seconds",
    signed: "RS256" | "PS256" = "RS256"
  ) =>
    Layer.effectContext(make(at)).pipe(
      Layer.provideMerge(
        SimulatedProvider.layer({
          issuer: at,
          deviceInterval,
          accessTokens: "jwt",
          algorithms: ["RS256", "PS256"],
          scopes: ["openid", "profile", "offline_access"],
          clients: [
            {
              client_id: deviceClientId,
              token_endpoint_auth_method: "none",
              id_token_signed_response_alg: signed,
              grant_types: ["refresh_token", "urn:ietf:params:oauth:grant-type:device_code"]
            },
            { ...machine, token_endpoint_auth_method: "client_secret_post", grant_types: ["client_credentials"] }
          ]
        })
      )
    )
}

const make = Effect.fnUntraced(function* (issuer: string) {
  const idp = yield* SimulatedProvider
  const seen: Array<Seen> = []
  const brought: Array<string> = []
  let answers: ReadonlyArray<Answer> = [is({ status: "queued" })]

  const isTaken = Effect.fnUntraced(function* (token: string) {
    // What the provider publishes is such a set.
    const keys = (yield* Effect.flatMap(
      idp.client.get(`${issuer}jwks`),
      ({ json }) => json
    )) as unknown as JSONWebKeySet
    const options = {
      algorithms: ["RS256"],
      // Over HTTP, it is where it is.
      audience: [arnicaUrl, `${issuer}api`, deviceClientId],
      currentDate: new Date(yield* Clock.currentTimeMillis)
    }
    const verified = Effect.promise(() =>
      jwtVerify(token, createLocalJWKSet(keys), options).then(
        () => true,
        () => false
      )
    )
    return yield* Promised.run(verified)
  }, Effect.orDie)

  const client = HttpClient.make((request, url) =>
    Effect.gen(function* () {
      const form = formOf(request)
      const type = request.body._tag === "Uint8Array" ? request.body.contentType : ""
      seen.push({ path: url.pathname, type, form })
      const inside = url.href.startsWith(issuer) ? paths[url.pathname] : undefined
      if (inside !== undefined) {
        const asked = HttpClientRequest.setUrl(request, `${issuer}${inside}`)
        const isGet = request.method === "GET"
        return yield* idp.client.execute(isGet ? asked : HttpClientRequest.setBody(asked, HttpBody.urlParams(form)))
      }
      const reply = (status: number, body: unknown) =>
        HttpClientResponse.fromWeb(request, new Response(JSON.stringify(body), { status }))
      if (!url.pathname.startsWith(new URL(arnicaUrl).pathname + "/v1/result/")) return reply(404, {})
      const token = (request.headers["authorization"] ?? "").replace(/^Bearer /, "")
      brought.push(token)
      if (token !== "static-token" && !(yield* isTaken(token))) return reply(401, {})
      const [answer = { status: 500 }, ...rest] = answers
      if (rest.length > 0) answers = rest
      if (answer === "silent") return yield* Effect.never
      if (answer !== "reset") return reply(answer.status, answer.body)
      return yield* new HttpClientError.HttpClientError({ reason: new HttpClientError.TransportError({ request }) })
    })
  )
  const jobs = (...next: ReadonlyArray<Answer>) => {
    answers = next
  }
  return Context.make(FakeArnica, { idp, seen, brought, jobs }).pipe(Context.add(HttpClient.HttpClient, client))
})
