/**
 * Every function of `node:fs` and `node:fs/promises`, counted when it is called, whoever calls it. To be imported before all
 * else: others keep the functions they find.
 */
import fs from "node:fs"
import { syncBuiltinESMExports } from "node:module"

/** What happens before each call. */
export const calls: { before: () => void } = { before: () => {} }

for (const module of [fs, fs.promises]) {
  for (const [member, original] of Object.entries(module)) {
    if (typeof original !== "function" || !/^[a-z]/.test(member)) continue
    const counted = function (this: unknown, ...args: ReadonlyArray<unknown>) {
      calls.before()
      return Reflect.apply(original, this, args)
    }
    // What `promisify` makes of some of them stands on them.
    Object.defineProperties(counted, Object.getOwnPropertyDescriptors(original))
    Reflect.set(module, member, counted)
  }
}
syncBuiltinESMExports()
