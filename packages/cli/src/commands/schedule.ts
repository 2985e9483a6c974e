import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import { printable } from "keyfob"
import { here } from "../here.ts"
import { answer } from "../output.ts"
import { broughtTo, resolve, withRemedy } from "../provider.ts"
import * as store from "../store.ts"
import { kept } from "../stored.ts"
import * as target from "../target.ts"
import { table } from "../text/table.ts"
import { iso, relative } from "../text/time.ts"
import { timeline } from "../timeline.ts"
import * as workspace from "../workspace.ts"

export const schedule = Command.make(
  "schedule",
  {
    provider: target.argument,
    hours: Flag.Int("hours").pipe(
      Flag.withMetavar("N"),
      Flag.withDescription("How far to look"),
      Flag.filter(
        (hours) => hours >= 1 && hours <= 8760,
        () => "from 1 to 8760, a year"
      ),
      Flag.withDefault(24)
    )
  },
  Effect.fnUntraced(function* ({ hours, provider: name }) {
    const opened = yield* here
    const asked = yield* workspace.providersNamed(opened, Option.getOrUndefined(name))
    const now = yield* Clock.currentTimeMillis
    const until = now + Duration.toMillis(Duration.hours(hours))
    const rows = yield* Effect.forEach(asked, (configured) =>
      Effect.gen(function* () {
        const provider = yield* resolve(configured, broughtTo(opened, asked))
        const stored = yield* Effect.provide(kept(provider), store.layer(opened, provider))
        const instants = timeline(Option.getOrUndefined(stored), now, until)
        return instants.map(({ at, event }) => ({ context: configured.context, provider: configured.name, at, event }))
      }).pipe(
        withRemedy(opened, configured),
        // One that cannot be read hides nothing of the others.
        Effect.catch((failure) =>
          asked.length === 1
            ? failure
            : Effect.as(Effect.logWarning(`${printable(configured.name)} is left out: ${failure.message}`), [])
        )
      )
    )
    const instants = rows.flat().sort((a, b) => a.at.epochMilliseconds - b.at.epochMilliseconds)
    yield* answer(
      opened.globals,
      instants.map((instant) => ({ ...instant, at: iso(instant.at) })),
      () =>
        instants.length === 0
          ? `Nothing happens in the next ${hours} h.`
          : table(
              ["AT", "", "PROVIDER", "EVENT"],
              instants.map(({ at, event, provider }) => [
                (iso(at) ?? "").replace(/\.\d+Z$/, "Z"),
                relative(at, now),
                printable(provider),
                words[event]
              ])
            )
    )
  })
).pipe(Command.withDescription("When tokens end and are renewed; talks to nobody"))

const words = {
  refresh: "refresh",
  expiry: "the token ends, if nobody renewed it",
  refresh_token_expiry: "the refresh token ends, if nobody used it",
  login_required: "a person must log in"
}
