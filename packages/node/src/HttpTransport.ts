import * as Config from "effect/Config"
import type * as Undici from "@effect/platform-node/Undici"
import * as Effect from "effect/Effect"
import * as HttpClient from "effect/http/HttpClient"
import type { HttpClientError } from "effect/http/HttpClientError"
import type { HttpClientRequest } from "effect/http/HttpClientRequest"
import * as Layer from "effect/Layer"
import * as RcMap from "effect/RcMap"
import * as Redacted from "effect/Redacted"
import * as Scope from "effect/Scope"
import { ClientCertificate, ConfigurationInvalid } from "keyfob"
import { readFileSync } from "node:fs"
import { errno } from "./errno.ts"

/**
 * HTTP for a command: through the proxies of the environment (`HTTPS_PROXY`, `HTTP_PROXY`, `NO_PROXY`, each in capitals
 * or not), trusting the certificates of `caFile` (PEM) besides the usual roots, and never following a redirect.
 *
 * A request to a loopback address passes a proxy only if that is on this machine too: it may be plain http, secrets and
 * all, because it does not leave the machine.
 *
 * A request is sent with the client certificate that is `ClientCertificate.Presented` to it, over connections of its own;
 * proxies never see that.
 *
 * What it takes is loaded with the first request. Fails with `ConfigurationInvalid`, before any request, where a proxy is
 * no URL or `caFile` holds no certificate.
 */
export const layer = (options: { readonly caFile?: string | undefined } = {}) =>
  Layer.effect(
    HttpClient.HttpClient,
    Effect.gen(function* () {
      const route = yield* proxies
      const certificates = options.caFile === undefined ? undefined : yield* readCertificates(options.caFile)
      const scope = yield* Effect.scope
      const client = yield* connected(route, certificates).pipe(
        Scope.provide(scope),
        Effect.uninterruptible,
        Effect.cached
      )
      // Not `HttpClient.make`: the inner client already makes the span and the abort signal of a request.
      return HttpClient.makeWith<HttpClientError, never, HttpClientError, never>(
        Effect.flatMap((request) => Effect.flatMap(client, (execute) => execute(request))),
        Effect.succeed
      )
    })
  ).pipe(Layer.merge(Layer.succeed(ClientCertificate.IsPresentable, true)))

interface Route {
  readonly httpProxy: string
  readonly httpsProxy: string
  readonly noProxy: string
  /** Whether requests to this machine take the way of all others. */
  readonly loopbackToo: boolean
}

/** Sends requests, each with the certificate that is presented. */
const connected = Effect.fnUntraced(function* ({ loopbackToo, ...route }: Route, certificates: string | undefined) {
  // undici is CommonJS: a bundler that splits at imports knows its default export and none by name.
  const [{ Dispatcher, makeUndici }, { default: undici }, tls] = yield* Effect.promise(() =>
    Promise.all([
      import("@effect/platform-node/NodeHttpClient"),
      import("@effect/platform-node/Undici"),
      import("node:tls")
    ])
  )
  const trust = certificates === undefined ? {} : { ca: [...tls.getCACertificates("default"), certificates] }
  /**
   * Fails a connection with its first error. A server that refuses our certificate says so and then closes the connection: the
   * second error would hide the first.
   */
  const factory = (origin: string | URL, options: Undici.Pool.Options) => {
    const connect = typeof options.connect === "function" ? options.connect : undici.buildConnector(options.connect)
    const attentive: typeof connect = (to, done) =>
      connect(to, (...made) => {
        const [, socket] = made
        socket?.once("error", (error: Error) => socket.destroy(error))
        done(...made)
      })
    return new undici.Pool(origin, { ...options, connect: attentive })
  }
  const open = new Set<InstanceType<typeof undici.Agent | typeof undici.EnvHttpProxyAgent>>()
  yield* Effect.addFinalizer(() => Effect.promise(() => Promise.all(Array.from(open, (agent) => agent.destroy()))))
  const clientOver = (make: () => InstanceType<typeof undici.Agent | typeof undici.EnvHttpProxyAgent>) =>
    Effect.acquireRelease(
      Effect.sync(() => {
        const agent = make()
        open.add(agent)
        return agent
      }),
      // What is being read is read to its end, and nobody waits for that.
      (agent) => Effect.sync(() => void agent.close().finally(() => open.delete(agent)))
    ).pipe(Effect.flatMap((agent) => Effect.provideService(makeUndici, Dispatcher, agent)))
  const clientsWith = Effect.fnUntraced(function* (certificate?: ClientCertificate.ClientCertificate) {
    const identity = certificate && { cert: certificate.certificate, key: Redacted.value(certificate.key) }
    const tls = { ...trust, ...identity }
    const routed = yield* clientOver(
      () => new undici.EnvHttpProxyAgent({ ...route, factory, connect: tls, requestTls: tls, proxyTls: trust })
    )
    if (loopbackToo) return () => routed
    // `NO_PROXY` knows names and no ranges: 127.0.0.0/8 could not be said there.
    const straight = yield* clientOver(() => new undici.Agent({ factory, connect: tls }))
    return (url: string) => (isLoopback(URL.parse(url)?.hostname ?? "") ? straight : routed)
  })
  const anonymous = yield* clientsWith()
  // Certificates are renewed: the connections of one that nobody presents any more are given up.
  const known = yield* RcMap.make({ lookup: clientsWith, idleTimeToLive: "1 minute" })
  return Effect.fnUntraced(function* (request: HttpClientRequest) {
    const certificate = yield* ClientCertificate.Presented
    const clientFor = certificate === undefined ? anonymous : yield* RcMap.get(known, certificate)
    return yield* clientFor(request.url).execute(request)
  }, Effect.scoped)
})

const variable = (name: string) =>
  Config.String(name.toLowerCase()).pipe(
    Config.orElse(() => Config.String(name)),
    Config.withDefault("")
  )

const proxy = Effect.fnUntraced(function* (name: string) {
  const value = yield* variable(name)
  if (value === "") return undefined
  const url = URL.parse(value.includes("://") ? value : `http://${value}`)
  if (url === null || !/^https?:$/.test(url.protocol)) {
    // The value may have a password in it.
    return yield* invalid(`${name} is no proxy's URL; expected something like http://proxy.example.com:3128`)
  }
  return url
})

// Always set, if only to "": otherwise undici would read the environment of the process itself.
const proxies: Effect.Effect<Route, ConfigurationInvalid> = Effect.gen(function* () {
  const http = yield* proxy("HTTP_PROXY")
  const https = yield* proxy("HTTPS_PROXY")
  const noProxy = yield* variable("NO_PROXY")
  return {
    httpProxy: http?.href ?? "",
    httpsProxy: https?.href ?? "",
    noProxy,
    loopbackToo: [http, https].every((url) => url === undefined || isLoopback(url.hostname))
  }
}).pipe(Effect.catchTag("ConfigError", () => invalid("the proxy settings of the environment cannot be read")))

const isLoopback = (hostname: string) => /^(?:(?:.*\.)?localhost|127\.[\d.]+|\[::1\])$/.test(hostname)

/** The text of a file of certificates (PEM). The form alone is checked: what is in it is the first connection's business, since every start of a command comes here. */
export const readCertificates = Effect.fnUntraced(function* (file: string) {
  const text = yield* Effect.try({
    try: () => readFileSync(file, "utf8"),
    catch: (cause) => invalid(`the CA file ${file} cannot be read (${errno(cause)})`)
  })
  if (!/^-----BEGIN CERTIFICATE-----\s[A-Za-z0-9+/=\s]+-----END CERTIFICATE-----/m.test(text)) {
    return yield* invalid(`the CA file ${file} holds no certificate in PEM form`)
  }
  return text
})

const invalid = (detail: string) => new ConfigurationInvalid({ reason: "InvalidValue", detail })
