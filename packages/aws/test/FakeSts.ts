/**
 * STS as far as roles for web identities go, made from AWS's documents: it has the issuer's keys of the issuer itself, as
 * AWS does, and answers with JSON whoever accepts that, and else with XML.
 */
import { Clock, Effect } from "effect"
import { HttpClient, HttpClientResponse } from "effect/http"
import { createLocalJWKSet, decodeJwt, type JSONWebKeySet, jwtVerify } from "jose"
import { createServer } from "node:http"
import type { AddressInfo } from "node:net"

export const arn = "arn:aws:iam::123456789012:role/deploy"

interface Said {
  readonly status: number
  readonly body: unknown
}

export interface Trust {
  readonly issuer: string
  readonly audience: string
}

const refused = (status: number, Code: string): Said => ({
  status,
  body: { Error: { Code, Message: "canary-message", Type: "Sender" }, RequestId: "r" }
})

export const make = (trust: Trust) => {
  const asked: Array<Readonly<Record<string, string>>> = []
  const next: Array<Said> = []
  let count = 0

  /** Role credentials for an hour, whatever the time is by the clock. */
  const answer = Effect.fnUntraced(function* (form: Readonly<Record<string, string>>) {
    asked.push(form)
    const planned = next.shift()
    if (planned !== undefined) return planned
    if (form["Action"] !== "AssumeRoleWithWebIdentity" || form["Version"] !== "2011-06-15")
      return refused(400, "InvalidAction")
    if (!/^[\w+=,.@-]{2,64}$/.test(form["RoleSessionName"] ?? "")) return refused(400, "ValidationError")
    if (form["RoleArn"] !== arn) return refused(403, "AccessDenied")
    const token = form["WebIdentityToken"] ?? ""
    if (decodeJwt(token).iss !== trust.issuer) return refused(400, "InvalidIdentityToken")
    const http = yield* HttpClient.HttpClient
    const read = (url: string) => Effect.flatMap(http.get(url), ({ json }) => json)
    const { jwks_uri } = (yield* read(`${trust.issuer}/.well-known/openid-configuration`)) as { jwks_uri: string } // by its RFC
    const keys = createLocalJWKSet((yield* read(jwks_uri)) as unknown as JSONWebKeySet)
    const now = yield* Clock.currentTimeMillis
    const isGood = yield* Effect.promise(() =>
      jwtVerify(token, keys, { ...trust, currentDate: new Date(now) }).then(
        () => true,
        () => false
      )
    )
    if (!isGood) return refused(400, "InvalidIdentityToken")
    const id = ++count
    return {
      status: 200,
      body: {
        AssumeRoleWithWebIdentityResponse: {
          AssumeRoleWithWebIdentityResult: {
            AssumedRoleUser: { Arn: `arn:aws:sts::123456789012:assumed-role/deploy/${form["RoleSessionName"]}` },
            Credentials: {
              AccessKeyId: `ASIA${id}`,
              SecretAccessKey: `canary-secret-${id}`,
              SessionToken: `canary-session-${id}`,
              Expiration: now / 1000 + 3600
            }
          },
          ResponseMetadata: { RequestId: "r" }
        }
      }
    }
  }, Effect.orDie)

  /** Without a socket, at AWS's own address; what goes elsewhere goes on. */
  const before = (http: HttpClient.HttpClient) =>
    HttpClient.make((request, url) => {
      if (url.host !== "sts.amazonaws.com") return http.execute(request)
      const text = request.body._tag === "Uint8Array" ? new TextDecoder().decode(request.body.body) : ""
      return answer(Object.fromEntries(new URLSearchParams(text))).pipe(
        Effect.provideService(HttpClient.HttpClient, http),
        Effect.map(({ body, status }) => HttpClientResponse.fromWeb(request, Response.json(body, { status })))
      )
    })

  /** On a loopback port, until the scope ends. */
  const serve = Effect.gen(function* () {
    const services = yield* Effect.context<HttpClient.HttpClient>()
    const server = createServer((request, response) => {
      let text = ""
      request.setEncoding("utf8").on("data", (piece) => (text += String(piece)))
      request.on("end", () => {
        const form = Object.fromEntries(new URLSearchParams(text))
        Effect.runFork(
          Effect.map(Effect.provideContext(answer(form), services), ({ body, status }) => {
            const isJson = request.headers.accept?.includes("application/json") === true
            response.writeHead(status, { "content-type": isJson ? "application/json" : "text/xml" })
            response.end(isJson ? JSON.stringify(body) : "<ErrorResponse/>")
          })
        )
      })
    })
    yield* Effect.acquireRelease(
      Effect.promise(() => new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))),
      () =>
        Effect.sync(() => {
          server.close()
          server.closeAllConnections()
        })
    )
    return `http://127.0.0.1:${(server.address() as AddressInfo).port}/` // a socket that listens has one
  })

  return { asked, next, before, serve, refused }
}
