import * as Effect from "effect/Effect"
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import { UsageError } from "../failure.ts"
import { Globals } from "../globalFlags.ts"
import { answer, say } from "../output.ts"

export const playground = Command.make(
  "playground",
  {
    port: Flag.Int("port").pipe(
      Flag.withMetavar("PORT"),
      Flag.withDescription("Where to listen, on 127.0.0.1; 0 is any free port"),
      Flag.filter(
        (port) => port >= 0 && port <= 65_535,
        () => "a port from 0 to 65535"
      ),
      Flag.withDefault(0)
    )
  },
  Effect.fnUntraced(function* ({ port }) {
    const globals = yield* Globals
    const server = yield* Effect.promise(() => import("../playground.ts"))
    const { clientId, commands, issuer, page } = yield* server
      .serve(port)
      .pipe(Effect.mapError(({ cause }) => cannotListen(port, cause)))
    const words = [
      `A provider to try everything against: ${issuer}`,
      `What it knows, and its faults:         ${page}`,
      "Try this in another shell:",
      ...commands.map((line) => `  ${line}`),
      "It is gone with all it knows at Ctrl-C."
    ]
    yield* globals.output === "json"
      ? answer(globals, { issuer, page, client_id: clientId }, () => "")
      : say(words.join("\n"))
    return yield* Effect.never
  }, Effect.scoped)
).pipe(Command.withDescription("Serve a local provider with a sign-in page to try everything against"))

const cannotListen = (port: number, cause: unknown) => {
  const code = cause instanceof Error && "code" in cause ? ` (${String(cause.code)})` : ""
  return new UsageError({
    message: `cannot listen on 127.0.0.1:${port}${code}`,
    remedy: "Choose another --port, or none for any free one"
  })
}
