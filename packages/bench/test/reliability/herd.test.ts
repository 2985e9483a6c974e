/** A few rounds of packages/bench/src/reliability/herd.ts; docs/reliability.md has the figures of many. Needs a build. */
import { assert, it } from "@effect/vitest"
import { Effect } from "effect"
import * as secretService from "../../../node/test/store/secretService.ts"
import { herd, isSound, type Who } from "../../src/reliability/herd.ts"

const meets = (who: Who, processes: number) =>
  Effect.gen(function* () {
    const all = yield* herd(who, { rounds: 2, processes })
    assert.lengthOf(all, 2)
    for (const round of all) assert.isTrue(isSound(processes)(round), JSON.stringify(round))
  })

const title = (who: string, processes: number) =>
  `R2 R3 ${processes} processes at once with one expired credential (${who}), rotation and reuse detection on: one refresh, nobody is logged out`

it.live(title("keyfob", 16), () => meets("keyfob", 16), 300_000)
it.live(title("file", 16), () => meets("file", 16), 300_000)
for (const who of ["encrypted_file", "redis", "sql"] as const) {
  it.live(title(who, 8), () => meets(who, 8), 300_000)
}

const bus = "DBUS_SESSION_BUS_ADDRESS"

it.live(
  title("keychain", 8),
  () =>
    Effect.gen(function* () {
      const { address } = yield* secretService.make
      yield* Effect.acquireRelease(
        Effect.sync(() => {
          const before = process.env[bus]
          process.env[bus] = address
          return before
        }),
        (before) =>
          Effect.sync(() => {
            if (before === undefined) delete process.env[bus]
            else process.env[bus] = before
          })
      )
      yield* meets("keychain", 8)
    }),
  300_000
)
