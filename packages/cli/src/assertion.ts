/** What the `jwt_bearer` flow signs in with. */
import * as Effect from "effect/Effect"
import { expandHome } from "@keyfob/node/Directories"
import * as SecretFile from "@keyfob/node/SecretFile"
import { ConfigurationInvalid, type SomebodysToken } from "keyfob"
import type { OAuthSettings } from "@keyfob/node/ProviderSettings"

/** Read for each request, since a platform writes the next one into the same file. No warning where others can read it: so they may. */
export const of = ({ assertionFile }: OAuthSettings): SomebodysToken =>
  Effect.gen(function* () {
    if (assertionFile === undefined) {
      const detail = "assertion (--assertion-file, or assertion_file in config.toml)"
      return yield* new ConfigurationInvalid({ reason: "MissingValue", detail })
    }
    return (yield* SecretFile.read(yield* expandHome(assertionFile))).text
  })
