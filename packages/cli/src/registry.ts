/** The kinds of providers this command sets to work. */
import * as Effect from "effect/Effect"
import * as Aqt from "@keyfob/aqt/Aqt"
import { Provider as Auki } from "@keyfob/auki"
import { Basic, OAuth, ProviderRegistry, ProviderType, Static } from "keyfob"
import * as Qlam from "@keyfob/qlam/Qlam"
import * as assertion from "./assertion.ts"
import * as clientAuthentication from "./clientAuthentication.ts"
import { oauth } from "./types.ts"

export const registry = ProviderRegistry.make([
  ProviderType.make({
    ...oauth,
    make: (settings, identity) =>
      Effect.flatMap(clientAuthentication.of(settings), (proof) =>
        OAuth.make(settings, identity, { ...proof, assertion: assertion.of(settings) })
      )
  }),
  Basic.type,
  Static.type,
  Aqt.type,
  Qlam.type,
  Auki.type
])
