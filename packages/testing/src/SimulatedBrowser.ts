import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as HttpClient from "effect/http/HttpClient"
import type * as HttpClientError from "effect/http/HttpClientError"
import * as HttpClientRequest from "effect/http/HttpClientRequest"

/** The browser ended on a page of the provider's, and nobody was there to go on. */
export class Stuck extends Schema.TaggedError<Stuck>()("Stuck", { status: Schema.Int, path: Schema.String }) {
  override get message() {
    return `the browser ended at ${this.path}, status ${this.status}: was anybody told to approve?`
  }
}

/**
 * Opens an address of the provider and follows its redirects, as a browser does, until one leads elsewhere: back to the
 * client. The client's address is the answer, and is not opened.
 */
export const visit = Effect.fn("SimulatedBrowser.visit")(function* (
  address: string
): Effect.fn.Return<URL, Stuck | HttpClientError.HttpClientError, HttpClient.HttpClient> {
  const client = yield* HttpClient.HttpClient
  let url = new URL(address)
  const { origin } = url
  for (;;) {
    const response = yield* client.execute(HttpClientRequest.get(url))
    const location = response.headers["location"]
    if (location === undefined) return yield* new Stuck({ status: response.status, path: url.pathname })
    url = new URL(location, url)
    if (url.origin !== origin) return url
  }
})
