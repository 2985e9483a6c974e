/** A provider, seen from here: can its metadata be read, and does its clock agree with ours. */
import * as DateTime from "effect/DateTime"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import { Jwt, printable, type ProviderType } from "keyfob"
import { oauthOf, serverOf } from "../provider.ts"
import { types } from "../types.ts"
import type { Configured } from "../workspace.ts"
import type { Globals } from "../globals.ts"
import { type Finding, ok, problem, warning } from "./finding.ts"

export const provider = Effect.fnUntraced(function* ({ name, settings }: Configured, globals: Globals) {
  const check = `provider ${printable(name)}`
  if (settings.invalid !== undefined) return [problem(check, settings.invalid)]
  const oauth = oauthOf(settings)
  if (settings.known === undefined) {
    const known = `This keyfob knows ${types.map((type) => type.name).join(", ")}`
    return [warning(check, `of type ${printable(settings.type)}`, known)]
  }
  const { inspect, reach } = yield* Effect.promise(() => import("../server.ts"))
  if (oauth === undefined) {
    const seen = yield* Effect.forEach(addressesOf(settings.known), (address) =>
      reach(address, globals).pipe(
        Effect.flatMap((date) =>
          Effect.map(clock(check, date), (clock) => [ok(check, `${printable(address)} answers`), ...clock])
        ),
        Effect.catch((error) => Effect.succeed([problem(check, error)]))
      )
    )
    return seen.flat()
  }
  return yield* inspect(serverOf(oauth), globals).pipe(
    Effect.flatMap(({ date, issuer }) => {
      const how = oauth.endpoints === undefined ? "answers" : "is known from its configured endpoints; it was not asked"
      return Effect.map(clock(check, date), (clock) => [ok(check, `${printable(issuer)} ${how}`), ...clock])
    }),
    Effect.catch((error) => Effect.succeed([problem(check, error)]))
  )
})

/** Whose addresses its settings name: no more is asked there than whether somebody answers. */
const addressesOf = ({ extra, key }: ProviderType.Known) => [
  ...new Set(
    [key.issuer, ...Object.values(extra ?? {}), ...Object.values(key.params)].flatMap((text) => {
      const url = URL.parse(text)
      return url !== null && /^https?:$/.test(url.protocol) ? [url.origin] : []
    })
  )
]

const clock = Effect.fnUntraced(function* (check: string, date: DateTime.Utc | undefined) {
  if (date === undefined) return []
  const offset = DateTime.distance(date, yield* DateTime.now)
  const seconds = Math.round(Duration.toSeconds(offset))
  const tolerance = Duration.toSeconds(yield* Jwt.ClockTolerance)
  const detail = `this clock is ${Math.abs(seconds)} s ${seconds < 0 ? "behind" : "ahead of"} the provider's`
  const finding: Finding =
    Math.abs(seconds) <= tolerance
      ? ok(`${check}, clock`, detail)
      : { check: `${check}, clock`, status: "problem", detail, remedy: "Set this machine's clock", exitCode: 7 }
  return [finding]
})
