import { assert, it } from "@effect/vitest"
import { outcomeOf } from "../../src/store/Keychain.ts"

it("an entry that another process has just removed is none, and no keychain that does not answer", () => {
  const failure =
    "Platform failure: DBus error: No such interface “org.freedesktop.Secret.Item” on object at path /org/freedesktop/secrets/collection/login/14"
  assert.deepStrictEqual(outcomeOf("get", { failure }), {})
  assert.deepStrictEqual(outcomeOf("remove", { failure }), {})
  assert.deepInclude(outcomeOf("set", { failure }), { reason: "Unavailable" }, "what was to be written is not there")
  assert.deepInclude(outcomeOf("get", { failure: "no reply" }), { reason: "Unavailable" })
})
