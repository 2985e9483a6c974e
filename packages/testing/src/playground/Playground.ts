/**
 * A simulated provider to look at: sign-in pages for a person, and a page that shows what it holds and has switches for
 * its faults.
 *
 * ```ts
 * const { issuer, page } = yield* Playground.serve() // needs an HttpServer; serves until the scope ends
 * ```
 */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as HttpRouter from "effect/http/HttpRouter"
import * as HttpServer from "effect/http/HttpServer"
import * as HttpServerRequest from "effect/http/HttpServerRequest"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import type { ProviderOptions } from "../model/Settings.ts"
import { type Inside, make, type SimulatedProvider } from "../SimulatedProvider.ts"
import * as Transport from "../Transport.ts"
import { guarded } from "./guard.ts"
import { dressed } from "./signIn.ts"
import { statePage } from "./statePage.ts"
import { seenAt, Switch, turn } from "./switches.ts"

export { clients } from "../model/Settings.ts"
export { commands } from "./commands.ts"

export interface Playground {
  readonly issuer: string
  /** The page with the state and the switches. */
  readonly page: string
  /** The same provider, for a program. */
  readonly provider: SimulatedProvider["Service"]
}

/** Serves on the server in context. It answers by the name in `issuer` and no other; without one, the server's address. */
export const serve = Effect.fnUntraced(function* (
  options: ProviderOptions = {}
): Effect.fn.Return<Playground, never, HttpServer.HttpServer | Scope.Scope> {
  const server = yield* HttpServer.HttpServer
  const { deliver, inside, provider } = yield* make({ issuer: HttpServer.formatAddress(server.address), ...options })
  const router = yield* HttpRouter.make
  yield* router.add("GET", "/", to(path))
  yield* router.add("GET", path, show(provider, inside))
  yield* router.add("POST", path, change(provider, inside))
  const rest = Transport.overSocket(dressed(deliver, inside))
  // Not "*": that would be asked for the HEAD of our own pages.
  for (const method of ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"] as const) {
    yield* router.add(method, "/*", rest)
  }
  yield* server.serve(guarded(provider.issuer, router.asHttpEffect()))
  return { issuer: provider.issuer, page: new URL(path, provider.issuer).href, provider }
})

const path = "/playground"

const to = (location: string) => HttpServerResponse.empty({ status: 303, headers: { location } })

const show = (provider: SimulatedProvider["Service"], inside: Inside) =>
  Effect.map(statePage(provider, inside), Transport.write)

const change = (provider: SimulatedProvider["Service"], inside: Inside) =>
  Effect.matchEffect(HttpServerRequest.schemaBodyUrlParams(Switch), {
    onFailure: () =>
      Effect.succeed(
        HttpServerResponse.text("there is no such switch, or a number is out of bounds\n", { status: 400 })
      ),
    // Back by GET, so that a reload does not do it again.
    onSuccess: (it) => Effect.as(turn(it, provider, inside), to(`${path}#${seenAt[it.switch]}`))
  })
