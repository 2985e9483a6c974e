import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import { type Credential, isTransient, RefreshPolicy } from "keyfob"
import { here } from "../here.ts"
import * as renewals from "../renewals.ts"
import * as secret from "../secret.ts"
import * as workspace from "../workspace.ts"

/** For cron and systemd: what the next run may mend is no failure of this one. */
export const keepalive = Command.make(
  "keepalive",
  {
    ...secret.flags,
    all: Flag.Boolean("all").pipe(
      Flag.withoutNegation,
      Flag.withDescription("The providers of every context"),
      Flag.withDefault(false)
    )
  },
  Effect.fnUntraced(function* (flags) {
    const opened = yield* here
    const outside = yield* secret.read(flags, opened.globals)
    const found = flags.all ? yield* workspace.everyProvider(opened) : yield* workspace.providers(opened)
    const asked = renewals.renewable(found)
    const rows = yield* Effect.forEach(asked, (configured) =>
      renewals.row(opened, configured, { ...outside, named: asked.length === 1 }, isDue)
    )
    yield* renewals.print(opened.globals, rows, flags.all)
    const lasting = rows.find(({ failure }) => failure !== undefined && !isTransient(failure.error))?.failure
    if (lasting !== undefined) return yield* lasting
  })
).pipe(Command.withDescription("Keep every session alive: one run of a timer"))

/** Where nobody is signed in there is nothing to keep. */
const isDue = (stored: Option.Option<Credential>, now: number) =>
  Option.exists(stored, (credential) => {
    const at = RefreshPolicy.keepAlivePoint(credential)
    return credential.refused === true || (at !== undefined && now >= DateTime.toEpochMillis(at))
  })
