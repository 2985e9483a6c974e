/** A keychain in memory: one for several stores, which says what it was asked and fails when it is told to. */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import { StoreFailed } from "keyfob"
import { Keychain } from "../../src/store/Keychain.ts"

export const make = (longest = 2 ** 20) => {
  const entries = new Map<string, string>()
  const calls: Array<string> = []
  const state: {
    /** What every call fails with. */
    failing?: StoreFailed["reason"]
    /** Runs before each call. */
    before: (call: string) => Effect.Effect<void, StoreFailed>
  } = { before: () => Effect.void }
  const called = <A>(operation: string, name: string, does: () => A) =>
    Effect.suspend(() => {
      calls.push(`${operation} ${name}`)
      return state.failing === undefined
        ? Effect.andThen(state.before(`${operation} ${name}`), Effect.sync(does))
        : Effect.fail(new StoreFailed({ reason: state.failing, store: "keychain", location: "the keychain" }))
    })
  const layer = Layer.succeed(Keychain, {
    longest,
    get: (name) =>
      called("get", name, () => Option.map(Option.fromNullishOr(entries.get(name)), (text) => Redacted.make(text))),
    set: (name, text) =>
      called("set", name, () => {
        if (Redacted.value(text).length > longest) throw new Error("too long")
        entries.set(name, Redacted.value(text))
      }),
    remove: (name) => called("remove", name, () => entries.delete(name))
  })
  return { entries, calls, state, layer }
}
