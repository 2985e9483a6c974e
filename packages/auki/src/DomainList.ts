/** The domains that somebody may enter, page by page: pages that do not fit together are no list. */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import type * as HttpClient from "effect/http/HttpClient"
import { type AccessToken, HttpExchange, OAuthAnswer, ServiceEndpoint, type TokenSource } from "keyfob"
import { denied } from "./Api.ts"

/** A domain, as a list has it. */
export const ListedDomain = Schema.Struct({
  id: Schema.NonEmptyString,
  name: Schema.String,
  organization_id: Schema.optionalKey(Schema.NullOr(Schema.String))
})
export type ListedDomain = typeof ListedDomain.Type

const limit = 100
/** More than anybody has: a list that goes on for ever is none. */
const most = 100_000

const Page = Schema.Struct({
  domains: Schema.Array(ListedDomain),
  limit: Schema.Literal(limit),
  offset: Schema.Int,
  total: Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: most }))
})

/**
 * All of them, asked for as they are read. A discovery token that is refused is renewed, once for each page. An answer to
 * another page than was asked for, a domain that came before, and a total that changes on the way end it.
 */
export const list = (
  http: HttpClient.HttpClient,
  ddsUrl: string,
  discovery: TokenSource.TokenSource
): Stream.Stream<ListedDomain, TokenSource.TokenError> =>
  Stream.suspend(() => {
    const seen = new Set<string>()
    let first: number | undefined
    return Stream.paginate(
      0,
      Effect.fn("keyfob.auki.domains")(function* (offset) {
        const ask = ({ authorization }: AccessToken) =>
          ServiceEndpoint.ask(http, `${ddsUrl}/api/v1/accessible-domains?limit=${limit}&offset=${offset}`, {
            endpoint: "token",
            method: "GET",
            authorization,
            repeat: "idempotent",
            refusals: denied
          })
        const token = yield* discovery.token
        const answer = yield* Effect.catchIf(
          ask(token),
          (error) => error._tag === "ProviderRefused" && error.reason === "InvalidToken",
          () => Effect.flatMap(discovery.renewedSince(token), ask)
        )
        const { domains, offset: from, total } = yield* OAuthAnswer.accept(answer, Page)
        first ??= total
        for (const { id } of domains) seen.add(id)
        const next = offset + domains.length
        // Of a domain that came twice there are fewer than were told.
        const fits = from === offset && total === first && seen.size === next && next <= total
        if (!fits || (next === offset && next < total)) {
          return yield* HttpExchange.malformed(answer, "pages of domains that do not fit together")
        }
        return [domains, next === total ? Option.none<number>() : Option.some(next)] as const
      })
    )
  })
