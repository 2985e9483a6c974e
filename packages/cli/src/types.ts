/** The kinds of providers this command knows, as far as their settings go. What sets them to work is in registry.ts. */
import { definition as aqt } from "@keyfob/aqt/Settings"
import { definition as auki } from "@keyfob/auki/Settings"
import { OAuthSettings as Settings } from "@keyfob/node/ProviderSettings"
import { definition as qlam } from "@keyfob/qlam/QlamSettings"
import { BasicSettings, OAuthSettings, ProviderType, StaticSettings } from "keyfob"

/** As the library has it, and what this machine's files add: keys in files, and where credentials are kept. */
export const oauth: ProviderType.Definition<Settings> = {
  ...OAuthSettings.definition,
  settings: Settings,
  identify: (settings, account) => {
    const { needs = [], ...identity } = OAuthSettings.identify(settings, account)
    const called = settings.privateKeyFile === undefined ? needs : needs.filter((key) => key !== "private_key")
    return { ...identity, needs: [...called, "private_key_passphrase"] }
  }
}

export const types: ReadonlyArray<ProviderType.KnownType> = [
  ProviderType.known(oauth),
  ProviderType.known(BasicSettings.definition),
  ProviderType.known(StaticSettings.definition),
  ProviderType.known(aqt),
  ProviderType.known(qlam),
  ProviderType.known(auki)
]
