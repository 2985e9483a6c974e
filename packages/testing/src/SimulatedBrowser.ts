import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as HttpClient from "effect/http/HttpClient"
import type * as HttpClientError from "effect/http/HttpClientError"
import * as HttpClientRequest from "effect/http/HttpClientRequest"
import type * as HttpClientResponse from "effect/http/HttpClientResponse"

/** The browser ended on a page of the provider's, and nobody was there to go on. */
export class Stuck extends Schema.TaggedError<Stuck>()("Stuck", {
  status: Schema.Int,
  path: Schema.String,
  /** Who was to sign in there. */
  person: Schema.optionalKey(Schema.String)
}) {
  override get message() {
    const question = this.person === undefined ? "was anybody told to approve" : `is ${this.person} known there`
    return `the browser ended at ${this.path}, status ${this.status}: ${question}?`
  }
}

/** What a person answers on the provider's sign-in page. */
export interface SignIn {
  readonly person: string
  readonly decision: "approve" | "deny"
}

/**
 * Opens an address of the provider and follows its redirects, as a browser does, until one leads elsewhere: back to the
 * client. The client's address is the answer, and is not opened. Of an answer that would be posted there (`form_post`),
 * the fields are in its query.
 *
 * @param signIn what to answer where a page asks. Without it, what the provider was told is what happens.
 */
export const visit = Effect.fnUntraced(function* (
  address: string,
  signIn?: SignIn
): Effect.fn.Return<URL, Stuck | HttpClientError.HttpClientError, HttpClient.HttpClient> {
  const client = yield* HttpClient.HttpClient
  // No span sees the addresses: codes are in them.
  const execute = (request: HttpClientRequest.HttpClientRequest) =>
    Effect.provideService(client.execute(request), HttpClient.TracerDisabledWhen, () => true)
  let url = new URL(address)
  const { origin } = url
  for (;;) {
    const shown = yield* execute(HttpClientRequest.get(url))
    const onward = yield* leadsTo(shown)
    const asks = onward === undefined && shown.status === 200 && signIn !== undefined
    const answered = asks
      ? yield* execute(HttpClientRequest.post(url).pipe(HttpClientRequest.bodyUrlParams({ ...signIn })))
      : shown
    const location = asks ? yield* leadsTo(answered) : onward
    if (location === undefined) {
      const person = asks ? { person: signIn.person } : {}
      return yield* new Stuck({ status: answered.status, path: url.pathname, ...person })
    }
    url = new URL(location, url)
    if (url.origin !== origin) return url
  }
})

const leadsTo = (response: HttpClientResponse.HttpClientResponse) =>
  Effect.map(response.text, (page) => response.headers["location"] ?? postedTo(page))

/** The address of a form that a page posts by itself, with its fields (OAuth 2.0 Form Post Response Mode). */
const postedTo = (page: string): string | undefined => {
  const action = page.includes(".submit()") ? /<form [^>]*action="([^"]*)"/.exec(page)?.[1] : undefined
  if (action === undefined) return undefined
  const url = new URL(text(action))
  for (const [, name = "", value = ""] of page.matchAll(/<input type="hidden" name="([^"]*)" value="([^"]*)"/g)) {
    url.searchParams.append(text(name), text(value))
  }
  return url.href
}

/** What an attribute says: the provider writes its own pages, with no other references than these. */
const text = (attribute: string) =>
  attribute.replace(/&#(\d+);/g, (_, code: string) => String.fromCharCode(Number(code)))
