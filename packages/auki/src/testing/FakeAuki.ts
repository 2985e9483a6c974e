/**
 * Auki's API and domain discovery service, made from their documented shapes: for tests of programs that use them, in
 * memory, or behind a socket with {@link FakeAuki.handle}. Tokens are JWTs as the services' are, with a signature that
 * proves nothing.
 */
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Base64Url from "effect/encoding/Base64Url"
import * as HttpClient from "effect/http/HttpClient"
import * as HttpClientResponse from "effect/http/HttpClientResponse"

/** A request as it came in. */
export interface Seen {
  readonly method: string
  /** Origin and path: both services are one host here, unless they were given two. */
  readonly path: string
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
}

export interface Answer {
  readonly status: number
  /** JSON, or text as it is. */
  readonly body?: unknown
  readonly headers?: Readonly<Record<string, string>>
}

/** What it knows, and how long what it gives lives, in seconds. */
export interface FakeAukiOptions {
  readonly users?: Readonly<Record<string, string>>
  readonly apps?: Readonly<Record<string, string>>
  /** The domains it has, by their id, and who may not enter. */
  readonly domains?: ReadonlyArray<string>
  readonly networkLife?: number
  readonly discoveryLife?: number
  readonly domainLife?: number
}

export const apiUrl = "https://api.auki.test"
export const ddsUrl = "https://dds.auki.test"

export const jwt = (claims: object): string =>
  [
    Base64Url.encode(JSON.stringify({ alg: "ES256", typ: "JWT" })),
    Base64Url.encode(JSON.stringify(claims)),
    "c2ln"
  ].join(".")

export class FakeAuki extends Context.Service<
  FakeAuki,
  {
    /** Answers a request, as a server would. */
    readonly handle: (request: Seen) => Effect.Effect<Answer>
    readonly seen: ReadonlyArray<Seen>
    /** The requests to paths that end so. */
    readonly to: (end: string) => ReadonlyArray<Seen>
    /** What the next requests to paths that end so are answered instead, in this order. */
    readonly next: (end: string, ...answers: ReadonlyArray<Answer>) => void
    /** Changes what a domain's grant says, for good. */
    readonly lie: (change: (grant: Grant) => Grant) => void
    /** Ends every session: refresh tokens are good for nothing from now on. */
    readonly endSessions: () => void
    /** Takes no discovery token, or network token, that was given until now. */
    readonly forget: (level: "network" | "discovery") => void
  }
>()("keyfob/auki/FakeAuki") {
  /** The services behind an `HttpClient`, without a network. */
  static readonly layer = (options: FakeAukiOptions = {}): Layer.Layer<FakeAuki | HttpClient.HttpClient> =>
    Layer.effectContext(
      Effect.sync(() => {
        const fake = make(options)
        const client = HttpClient.make((request, { href }) => {
          const body = request.body._tag === "Uint8Array" ? new TextDecoder().decode(request.body.body) : ""
          const seen = { method: request.method, path: href, headers: { ...request.headers }, body }
          return Effect.map(fake.handle(seen), (answer) => HttpClientResponse.fromWeb(request, responseOf(answer)))
        })
        return Context.make(FakeAuki, fake).pipe(Context.add(HttpClient.HttpClient, client))
      })
    )
}

/** A domain's grant: the answer, and the claims of its token. */
export interface Grant {
  readonly answer: Readonly<Record<string, unknown>>
  readonly claims: Readonly<Record<string, unknown>>
}

const responseOf = ({ body, headers, status }: Answer) =>
  typeof body === "string" || body === undefined
    ? new Response(body ?? null, { status, headers: headers ?? {} })
    : Response.json(body, { status, headers: headers ?? {} })

const refusal = (status: number): Answer => ({ status, body: { error: "canary: why it was refused" } })

export const make = (options: FakeAukiOptions): FakeAuki["Service"] => {
  const { apps = {}, discoveryLife = 3600, domainLife = 3600, domains, networkLife = 3600, users = {} } = options
  const seen: Array<Seen> = []
  const scripted: Array<{ readonly end: string; readonly answer: Answer }> = []
  const changes: Array<(grant: Grant) => Grant> = []
  const refreshTokens = new Map<string, string>()
  const given = { network: new Map<string, string>(), discovery: new Map<string, string>() }
  let count = 0

  const session = (sub: string, now: number): Answer => {
    count++
    const access_token = jwt({ iss: "api", sub, jti: count, exp: now + networkLife })
    const refresh_token = `refresh-${count}`
    given.network.set(`Bearer ${access_token}`, sub)
    refreshTokens.set(`Bearer ${refresh_token}`, sub)
    return { status: 200, body: { access_token, refresh_token, expires_in: networkLife } }
  }

  const grant = (id: string, sub: string, now: number): Answer => {
    count++
    const url = "https://domain-server.auki.test"
    const server = { id: "server-1", organization_id: "org-1", name: "server", url, version: "1.0.0" }
    const place = { ip: "192.0.2.1", latitude: 1.5, longitude: 2.5, cloud_region: "eu" }
    const begun: Grant = {
      claims: { iss: "dds", sub, domain_id: id, jti: count, aud: ["dds", url], iat: now, exp: now + domainLife },
      answer: {
        id,
        name: `Domain ${id}`,
        organization_id: null,
        domain_server_id: server.id,
        expires_at: (now + domainLife) * 1000,
        owner_wallet_address: "0x0",
        domain_server: { ...server, status: "online", mode: "public", variants: ["default"], ...place }
      }
    }
    const { answer, claims } = changes.reduce((one, change) => change(one), begun)
    return { status: 200, body: { access_token: jwt(claims), ...answer } }
  }

  const served = (request: Seen, now: number): Answer => {
    const { pathname } = new URL(request.path, apiUrl)
    const authorization = request.headers["authorization"] ?? ""
    if (request.method === "GET" && pathname === "/api/v1/accessible-domains") {
      if (!given.discovery.has(authorization)) return refusal(401)
      const asked = (name: string) => Number(new URL(request.path, apiUrl).searchParams.get(name))
      const [limit, offset] = [asked("limit"), asked("offset")]
      const all = (domains ?? []).map((id) => ({ id, name: `Domain ${id}`, organization_id: null }))
      return { status: 200, body: { domains: all.slice(offset, offset + limit), limit, offset, total: all.length } }
    }
    if (request.method !== "POST") return refusal(405)
    if (pathname === "/user/login") {
      const { email, password } = JSON.parse(request.body)
      return users[email] === password && password !== undefined ? session(email, now) : refusal(401)
    }
    if (pathname === "/user/refresh") {
      const sub = refreshTokens.get(authorization)
      refreshTokens.delete(authorization)
      return sub === undefined ? refusal(401) : session(sub, now)
    }
    if (pathname === "/service/domains-access-token") {
      const app = Object.entries(apps).find(([key, secret]) => authorization === `Basic ${btoa(`${key}:${secret}`)}`)
      const sub = app?.[0] ?? given.network.get(authorization)
      if (sub === undefined) return refusal(401)
      count++
      const access_token = jwt({ iss: "api", sub, jti: count, exp: now + discoveryLife })
      given.discovery.set(`Bearer ${access_token}`, sub)
      return { status: 200, body: { access_token } }
    }
    const id = /^\/api\/v1\/domains\/([^/]+)\/auth$/.exec(pathname)?.[1]
    if (id === undefined) return refusal(404)
    const sub = given.discovery.get(authorization)
    if (sub === undefined) return refusal(401)
    if (request.headers["posemesh-client-id"] === undefined) return refusal(400)
    const domain = decodeURIComponent(id)
    return domains === undefined || domains.includes(domain) ? grant(domain, sub, now) : refusal(404)
  }

  return {
    seen,
    to: (end) => seen.filter(({ path }) => path.endsWith(end)),
    next: (end, ...answers) => void scripted.push(...answers.map((answer) => ({ end, answer }))),
    lie: (change) => void changes.push(change),
    endSessions: () => refreshTokens.clear(),
    forget: (level) => given[level].clear(),
    handle: Effect.fnUntraced(function* (request) {
      seen.push(request)
      const index = scripted.findIndex(({ end }) => request.path.endsWith(end))
      const [override] = index < 0 ? [] : scripted.splice(index, 1)
      if (override !== undefined) return override.answer
      return served(request, Math.floor((yield* Clock.currentTimeMillis) / 1000))
    })
  }
}
