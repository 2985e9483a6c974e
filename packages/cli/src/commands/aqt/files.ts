import * as Command from "effect/cli/Command"
import * as Effect from "effect/Effect"
import { ConnectorFiles } from "@keyfob/aqt"
import { ConfigurationInvalid, printable } from "keyfob"
import * as fresh from "../../fresh.ts"
import { here } from "../../here.ts"
import { answer } from "../../output.ts"
import * as secret from "../../secret.ts"
import * as target from "../../target.ts"
import { arnica } from "./arnica.ts"

export const files = Command.make(
  "files",
  { provider: target.argument, ...secret.flags },
  Effect.fnUntraced(function* ({ provider: name, ...flags }) {
    const opened = yield* here
    const credential = yield* fresh.credential(opened, yield* arnica(opened, name, flags))
    const [directory] = yield* ConnectorFiles.directories
    // Only the access token: a refresh token that two programs spend ends for both.
    const { refreshToken: _, ...shown } = credential
    yield* Effect.mapError(
      ConnectorFiles.writeTokens(directory, shown),
      () => new ConfigurationInvalid({ reason: "Unreadable", detail: `${printable(directory)} cannot be written` })
    )
    yield* answer(opened.globals, { directory }, () => `A valid token is in ${printable(directory)}.`)
  })
).pipe(Command.withDescription("Leave a valid token where AQT's Python connector looks for it"))
