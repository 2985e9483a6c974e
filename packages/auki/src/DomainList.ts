/** The domains that somebody may enter, page by page: pages that do not fit together are no list. */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import type * as HttpClient from "effect/http/HttpClient"
import * as HttpClientRequest from "effect/http/HttpClientRequest"
import { type AccessToken, AnswerRejected, HttpExchange, OAuthAnswer, ProviderRefused, type TokenSource } from "keyfob"
import { denied } from "./Api.ts"

/** A domain, as a list has it. */
export const ListedDomain = Schema.Struct({
  id: Schema.NonEmptyString,
  name: Schema.String,
  organization_id: Schema.optionalKey(Schema.NullOr(Schema.String))
})
export type ListedDomain = typeof ListedDomain.Type

const Page = Schema.Struct({
  domains: Schema.Array(ListedDomain),
  limit: Schema.Int,
  offset: Schema.Int,
  total: Schema.Int.check(Schema.isGreaterThanOrEqualTo(0))
})

const limit = 100
/** More than anybody has: a list that goes on for ever is none. */
const mostPages = 1000

const page = Effect.fn("keyfob.auki.domains")(function* (
  http: HttpClient.HttpClient,
  ddsUrl: string,
  offset: number,
  token: AccessToken
) {
  const request = HttpClientRequest.get(`${ddsUrl}/api/v1/accessible-domains`).pipe(
    HttpClientRequest.setUrlParams({ limit: String(limit), offset: String(offset) }),
    HttpClientRequest.setHeader("authorization", Redacted.value(token.authorization))
  )
  const answer = yield* HttpExchange.send(http, "token", request, "idempotent")
  const { host, status } = answer
  const reason = denied[status]
  if (reason !== undefined) return yield* new ProviderRefused({ reason, endpoint: "token", host, status })
  return { host, page: yield* OAuthAnswer.accept(answer, Page) }
})

/**
 * All of them, asked for as they are read. A discovery token that is refused is renewed, once for each page. An answer to
 * another page than was asked for, a domain that came before, and a total that changes on the way end it.
 */
export const list = (
  http: HttpClient.HttpClient,
  ddsUrl: string,
  discovery: TokenSource.TokenSource
): Stream.Stream<ListedDomain, TokenSource.TokenError> => {
  const from = Effect.fnUntraced(function* (offset: number) {
    const token = yield* discovery.token
    return yield* Effect.catchIf(
      page(http, ddsUrl, offset, token),
      (error) => error._tag === "ProviderRefused" && error.reason === "InvalidToken",
      () => Effect.flatMap(discovery.renewedSince(token), (next) => page(http, ddsUrl, offset, next))
    )
  })
  return Stream.suspend(() => {
    const seen = new Set<string>()
    let total: number | undefined
    return Stream.paginate(0, (offset) =>
      Effect.gen(function* () {
        const { host, page } = yield* from(offset)
        const reject = (detail: string) => new AnswerRejected({ reason: "Malformed", endpoint: "token", host, detail })
        if (page.limit !== limit || page.offset !== offset) return yield* reject("another page of domains")
        if (total !== undefined && page.total !== total) return yield* reject("the number of domains has changed")
        total = page.total
        if (page.domains.length > limit) return yield* reject("a page of domains that is too long")
        for (const { id } of page.domains) {
          if (seen.has(id)) return yield* reject("a domain twice")
          seen.add(id)
        }
        const next = offset + page.domains.length
        if (seen.size > total || (page.domains.length === 0 && next < total)) {
          return yield* reject("a number of domains that is not theirs")
        }
        if (total > limit * mostPages) return yield* reject("more domains than anybody has")
        return [page.domains, next >= total ? Option.none<number>() : Option.some(next)] as const
      })
    )
  })
}
