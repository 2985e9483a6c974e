/** The network that a command talks to: the system's, with its requests in the log. */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as HttpClient from "effect/http/HttpClient"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as HttpTransport from "@keyfob/node/HttpTransport"
import type { Globals } from "./globals.ts"

/** What is asked of whom, for `--log-level debug`: no query, no header, no body, since those hold secrets. */
const logged = (client: HttpClient.HttpClient): HttpClient.HttpClient =>
  HttpClient.transform(client, (exchange, { method, url }) =>
    Effect.flatMap(Clock.currentTimeMillis, (began) =>
      // Also when it is given up: that is what is looked for.
      Effect.onExit(exchange, (exit) =>
        Effect.flatMap(Clock.currentTimeMillis, (now) => {
          const place = URL.parse(url)
          const outcome = Exit.isSuccess(exit) ? exit.value.status : "no answer"
          return Effect.logDebug(`${method} ${place?.host}${place?.pathname}: ${outcome}, ${now - began} ms`)
        })
      )
    )
  )

/** The system's network, unless there is a client already: a test's. */
export const http = ({ caFile }: Globals) =>
  Layer.unwrap(
    Effect.map(
      Effect.serviceOption(HttpClient.HttpClient),
      Option.match({
        onNone: () => HttpTransport.layer({ caFile }),
        onSome: (client) => Layer.succeed(HttpClient.HttpClient, client)
      })
    )
  ).pipe((client) =>
    Layer.effect(HttpClient.HttpClient, Effect.map(HttpClient.HttpClient, logged)).pipe(Layer.provideMerge(client))
  )
