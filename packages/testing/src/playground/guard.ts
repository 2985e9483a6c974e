/**
 * Keeps other web sites out. A site that is open in the same browser can make it send requests to loopback, and by a name
 * of its own that points there (DNS rebinding) even read the answers.
 */
import * as Effect from "effect/Effect"
import * as HttpServerRequest from "effect/http/HttpServerRequest"
import * as HttpServerResponse from "effect/http/HttpServerResponse"

const refused = (status: number, sentence: string) => HttpServerResponse.text(`${sentence}\n`, { status })

/** What people use. The rest is the protocol's, and clients elsewhere are meant to use it. */
const isForPeople = (path: string) => /^\/(playground|device|interaction)(\/|$)/.test(path)

/**
 * Sec-Fetch-Site is what a browser says itself, and every one of today says it to loopback. `Origin` is the word of the
 * others; browsers blank it on our forms, since our pages have no referrer.
 */
const isOwn = (origin: string, headers: Readonly<Record<string, string | undefined>>) => {
  const site = headers["sec-fetch-site"]
  return site === undefined ? headers["origin"] === origin : site === "same-origin"
}

/** Lets pass what is meant for `issuer` by name, and of what changes something on a page only what comes from our pages. */
export const guarded = <E, R>(issuer: string, app: Effect.Effect<HttpServerResponse.HttpServerResponse, E, R>) => {
  const { host, origin } = new URL(issuer)
  return Effect.flatMap(HttpServerRequest.HttpServerRequest, ({ headers, method, url }) => {
    if (headers["host"] !== host) return Effect.succeed(refused(421, `this is ${origin}, and nothing else`))
    const path = url.replace(/\?.*$/, "")
    const changes = method !== "GET" && method !== "HEAD"
    if (changes && isForPeople(path) && !isOwn(origin, headers)) {
      return Effect.succeed(
        refused(403, `only a page of ${origin} may do this (a script says so with Origin: ${origin})`)
      )
    }
    return app
  })
}
