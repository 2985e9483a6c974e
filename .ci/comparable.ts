/**
 * An assertion calls any two Redacted values equal: it looks at what can be enumerated, and their text cannot. In tests it
 * can, and is compared.
 */
import { Redacted } from "effect"

Object.defineProperty(Object.getPrototypeOf(Redacted.make("")), "compared", {
  enumerable: true,
  get: function (this: Redacted.Redacted) {
    return Redacted.isRedacted(this) ? Redacted.value(this) : undefined
  }
})
