/** The kinds of providers that tests of the configuration know. */
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import { OAuthSettings as OAuth, ProviderType } from "keyfob"
import { OAuthSettings, type ProviderEntry } from "../../src/config/ProviderSettings.ts"

export const types = [ProviderType.known({ ...OAuth.definition, settings: OAuthSettings })]

/** What a provider's table says to its type. */
export const settingsOf = (entry: ProviderEntry | undefined) =>
  entry && Option.getOrUndefined(Schema.decodeUnknownOption(OAuthSettings)(Redacted.value(entry.table)))
