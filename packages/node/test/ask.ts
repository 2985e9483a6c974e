/** Requests that no browser would send. */
import { Effect } from "effect"
import * as Http from "node:http"

interface Said {
  readonly status: number
  readonly headers: Http.IncomingHttpHeaders
  readonly body: string
}

/** A request as it is: `fetch` sends no Host of one's own. */
export const ask = (port: number, path: string, options: Http.RequestOptions = {}, body = "") =>
  Effect.callback<Said, Error>((resume) => {
    const request = Http.request({ host: "127.0.0.1", port, path, agent: false, ...options }, (response) => {
      let text = ""
      response.on("data", (chunk) => (text += String(chunk)))
      response.on("end", () =>
        resume(Effect.succeed({ status: response.statusCode ?? 0, headers: response.headers, body: text }))
      )
      response.on("error", (error) => resume(Effect.fail(error)))
    })
    request.on("error", (error) => resume(Effect.fail(error)))
    request.end(body)
  })
