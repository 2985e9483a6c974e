/// <reference path="./oidc-provider.d.ts" />
import { Context, Duration, Effect, Layer, Schema, type Scope } from "effect"
import { exportJWK, generateKeyPair } from "jose"
import * as Http from "node:http"
import * as Https from "node:https"
import type { AddressInfo } from "node:net"
import { text } from "node:stream/consumers"
import { Provider } from "oidc-provider"
import * as Api from "./api.ts"
import * as Configuration from "./configuration.ts"
import { accounts, type Claims } from "./Directory.ts"
import * as Grants from "./grants.ts"
import * as Interaction from "./interaction.ts"

export interface Options {
  /** Default: any free one. */
  readonly port?: number
  /** Default: an hour. Rounded up to seconds, as all the lifetimes here. */
  readonly accessTokenTtl?: Duration.Input
  /** Default: 14 days. */
  readonly refreshTokenTtl?: Duration.Input
  /** Default: 10 minutes. */
  readonly deviceCodeTtl?: Duration.Input
  /** The `interval` of device authorization answers. Default: none is sent, so that a client must poll every 5 seconds. */
  readonly deviceInterval?: Duration.Input
  /** Default: true, a refresh token is good for one refresh and its second use ends the grant. */
  readonly rotateRefreshTokens?: boolean
  /** Whether DPoP proofs need a nonce of the provider's (RFC 9449 section 8). Default: false. */
  readonly dpopNonces?: boolean
  /** Who can sign in, by subject. Default: alice and bob. */
  readonly accounts?: Readonly<Record<string, Claims>>
  /**
   * Whether it speaks TLS, with what, and which authority's certificates it believes clients (RFC 8705). Those are asked
   * for at a port of its own, which the metadata calls `mtls_endpoint_aliases`, and nowhere else. Default: plain http.
   */
  readonly tls?: { readonly key: Buffer; readonly cert: Buffer; readonly ca: Buffer }
  /** Whose JWTs are taken as grants (RFC 7523, 2.1). Default: nobody's. */
  readonly trustedIssuers?: ReadonlyArray<Grants.TrustedIssuer>
  /**
   * How people can prove who they are here, best first. They do so in the first way of these that a request's `acr_values`
   * name, else in the first of all. Default: tokens say nothing of it.
   */
  readonly acrValues?: ReadonlyArray<string>
  /** Parameters of requests that it understands besides those of the standards. Default: none. */
  readonly extraParams?: ReadonlyArray<string>
  /** Where device codes are asked for. Default: `/device/auth`. */
  readonly deviceAuthorizationPath?: string
  /** Registered besides those of `Directory.ts`: client metadata as in RFC 7591. */
  readonly clients?: ReadonlyArray<Readonly<Record<string, unknown>>>
}

/**
 * What happens to one request instead of an ordinary answer:
 * - an answer made up here, in front of the provider;
 * - `reset`: the connection breaks and the provider has heard nothing;
 * - `lost`: the provider does its work, then the connection breaks, so its answer never arrives;
 * - `altered`: the provider does its work, and members of its JSON answer are other ones on the way, or none (undefined).
 */
export type Fault =
  | "reset"
  | "lost"
  | Altered
  | {
      readonly status: number
      readonly headers?: Readonly<Record<string, string>>
      /** A string is sent as it is, anything else as JSON. */
      readonly body?: unknown
    }

interface Altered {
  readonly altered: Readonly<Record<string, unknown>>
}

/** What was asked of the server. Never a parameter's value, a header or body: they hold the secrets. */
export interface RecordedRequest {
  readonly method: string
  /** Without the query, and with `:uid` for the random part of sign-in pages. */
  readonly path: string
  readonly status: number | "reset" | "lost"
  readonly grantType?: string
  /** Of an authorization request, the names of the parameters that the provider understood. */
  readonly understood?: ReadonlyArray<string>
}

export class EmbeddedProviderError extends Schema.TaggedError<EmbeddedProviderError>()("EmbeddedProviderError", {
  cause: Schema.Defect()
}) {
  override get message() {
    return "the embedded provider did not start"
  }
}

/**
 * `oidc-provider`, which is certified for OpenID Connect, on a loopback port for as long as a scope lasts.
 *
 * Several can run at once: each has its own port, keys, accounts and memory.
 */
export class EmbeddedProvider extends Context.Service<
  EmbeddedProvider,
  {
    /** `http://127.0.0.1:PORT`; all else is in its discovery document. */
    readonly issuer: string
    /** The protected API: takes a bearer token, says who is calling. */
    readonly apiUrl: string
    /** The API's resource indicator (RFC 8707) and the `aud` of the JWTs made for it. */
    readonly audience: string
    /** Oldest first. */
    readonly requests: Effect.Effect<ReadonlyArray<RecordedRequest>>
    readonly clearRequests: Effect.Effect<void>
    /** The next request for this path meets the fault. Called twice, the next two do. */
    readonly failNext: (path: string, fault: Fault) => Effect.Effect<void>
  }
>()("@keyfob/embedded/EmbeddedProvider") {
  static readonly start = (
    options?: Options
  ): Effect.Effect<EmbeddedProvider["Service"], EmbeddedProviderError, Scope.Scope> => start(options)

  static readonly layer = (options?: Options): Layer.Layer<EmbeddedProvider, EmbeddedProviderError> =>
    Layer.effect(EmbeddedProvider, start(options))
}

const serving = (make: () => Http.Server) =>
  Effect.acquireRelease(Effect.sync(make), (server) =>
    Effect.callback<void>((resume) => {
      server.close(() => resume(Effect.void))
      server.closeAllConnections() // clients keep theirs alive and would hold the scope open
    })
  )

const start = Effect.fn("EmbeddedProvider.start")(function* (options: Options = {}) {
  const { tls } = options
  const server = yield* serving(() => (tls === undefined ? Http.createServer() : Https.createServer(tls)))
  const issuer = yield* listen(server, options.port ?? 0)
  const mtls =
    tls && (yield* serving(() => Https.createServer({ ...tls, requestCert: true, rejectUnauthorized: false })))
  const mtlsOrigin = mtls && (yield* listen(mtls, 0))
  const audience = `${issuer}/api`
  const keys = yield* Effect.tryPromise({
    try: () => Promise.all([newKey("RS256"), newKey("ES256")]), // ID tokens, and access tokens for the API
    catch: (cause) => new EmbeddedProviderError({ cause })
  })

  const known = options.accounts ?? accounts
  const acting: Grants.Acting = new WeakMap()
  const provider = yield* Effect.try({
    try: () =>
      new Provider(
        issuer,
        Configuration.make({
          audience,
          accounts: known,
          clients: options.clients ?? [],
          keys: keys.map(({ secret }) => secret),
          accessTokenTtl: seconds(options.accessTokenTtl ?? "1 hour"),
          refreshTokenTtl: seconds(options.refreshTokenTtl ?? "14 days"),
          deviceCodeTtl: seconds(options.deviceCodeTtl ?? "10 minutes"),
          rotateRefreshTokens: options.rotateRefreshTokens ?? true,
          dpopNonces: options.dpopNonces ?? false,
          acrValues: options.acrValues ?? [],
          extraParams: options.extraParams ?? [],
          deviceAuthorizationPath: options.deviceAuthorizationPath ?? "/device/auth",
          ...(mtlsOrigin === undefined ? {} : { mtlsOrigin }),
          acting
        })
      ),
    catch: (cause) => new EmbeddedProviderError({ cause })
  })

  Grants.register(provider, { acting, issuer, trusted: options.trustedIssuers ?? [] })

  const requests: Array<Entry> = []
  const entryOf = new WeakMap<Http.IncomingMessage, Entry>()
  const faults = new Map<string, Array<Fault>>()

  provider.use(async (context, next) => {
    await next()
    const entry = entryOf.get(context.req)
    if (entry !== undefined) {
      entry.grantType = context.oidc?.body?.["grant_type"]
      if (context.oidc?.route === "authorization") entry.understood = Object.keys(context.oidc.params.toPlainObject())
    }
    if (
      options.deviceInterval !== undefined &&
      context.oidc?.route === "device_authorization" &&
      context.status === 200
    ) {
      Object.assign(context.body as object, { interval: seconds(options.deviceInterval) }) // its own answer, an object
    }
  })

  const interaction = Interaction.make(provider, known, options.acrValues ?? [])
  const api = Api.make({ provider, issuer, audience, accounts: known, jwks: { keys: keys.map(({ open }) => open) } })
  const oidc = provider.callback()

  const serve: Http.RequestListener = (request, response) => {
    const path = new URL(request.url ?? "/", issuer).pathname
    const fault = faults.get(path)?.shift()
    const entry: Entry = {
      method: request.method ?? "",
      path,
      fault,
      response,
      grantType: undefined,
      understood: undefined
    }
    requests.push(entry)
    entryOf.set(request, entry)

    if (fault === "lost") loseAnswer(response)
    else if (isAltered(fault)) alterAnswer(response, fault.altered)
    else if (fault !== undefined) return void misbehave(request, response, fault, entry).catch(() => response.destroy())

    if (path.startsWith("/interaction/")) return interaction(request, response)
    if (path === "/api/me") return api(request, response)
    return void oidc(request, response)
  }
  server.on("request", serve)
  mtls?.on("request", serve)

  return EmbeddedProvider.of({
    issuer,
    apiUrl: `${issuer}/api/me`,
    audience,
    requests: Effect.sync(() => requests.map(recorded)),
    clearRequests: Effect.sync(() => {
      requests.length = 0
    }),
    failNext: (path, fault) =>
      Effect.sync(() => {
        faults.set(path, [...(faults.get(path) ?? []), fault])
      })
  })
})

const seconds = (duration: Duration.Input) => Math.max(1, Math.ceil(Duration.toSeconds(duration)))

const listen = (server: Http.Server, port: number) =>
  Effect.callback<string, EmbeddedProviderError>((resume) => {
    const fail = (cause: Error) => resume(new EmbeddedProviderError({ cause }))
    server.once("error", fail)
    server.listen(port, "127.0.0.1", () => {
      server.off("error", fail)
      const scheme = server instanceof Https.Server ? "https" : "http"
      resume(Effect.succeed(`${scheme}://127.0.0.1:${(server.address() as AddressInfo).port}`)) // TCP, so never a string or null
    })
  })

const newKey = async (alg: string) => {
  const pair = await generateKeyPair(alg, { extractable: true })
  const kid = crypto.randomUUID()
  return {
    secret: { ...(await exportJWK(pair.privateKey)), alg, kid, use: "sig" },
    open: { ...(await exportJWK(pair.publicKey)), alg, kid, use: "sig" }
  }
}

/** A request that is under way: its status is read off the response when somebody asks. */
interface Entry {
  readonly method: string
  readonly path: string
  readonly fault: Fault | undefined
  readonly response: Http.ServerResponse
  grantType: unknown
  understood: ReadonlyArray<string> | undefined
}

const recorded = ({ fault, grantType, method, path, response, understood }: Entry): RecordedRequest => ({
  method,
  path: path.replace(/^\/(interaction|device|auth)\/(?!auth$).+/, "/$1/:uid"),
  status: typeof fault === "string" ? fault : response.statusCode,
  ...(typeof grantType === "string" ? { grantType } : {}),
  ...(understood === undefined ? {} : { understood })
})

const loseAnswer = (response: Http.ServerResponse) => {
  // headers leave together with the first byte of the body, so nothing has left yet when either of these is called
  const lose = () => {
    response.socket?.resetAndDestroy()
    return response
  }
  Object.assign(response, { write: lose, end: lose })
}

const isAltered = (fault: Fault | undefined): fault is Altered => typeof fault === "object" && "altered" in fault

const alterAnswer = (response: Http.ServerResponse, members: Altered["altered"]) => {
  const end = response.end.bind(response)
  // the provider ends with the whole body at once
  const alter = (body: string) => {
    const text = JSON.stringify({ ...JSON.parse(body), ...members })
    response.setHeader("content-length", Buffer.byteLength(text))
    return end(text)
  }
  Object.assign(response, { end: alter })
}

const misbehave = async (
  request: Http.IncomingMessage,
  response: Http.ServerResponse,
  fault: Exclude<Fault, "lost" | Altered>,
  entry: Entry
) => {
  // the request is read to its end first: else the client may fail while writing, which is another fault
  entry.grantType = new URLSearchParams(await text(request)).get("grant_type")
  if (fault === "reset") return void request.socket.resetAndDestroy()
  const { body, headers, status } = fault
  const json = body !== undefined && typeof body !== "string"
  response.writeHead(status, { ...(json ? { "content-type": "application/json" } : {}), ...headers })
  response.end(json ? JSON.stringify(body) : body)
}
