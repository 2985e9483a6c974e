import { OAuth, ProviderType } from "keyfob"
import { definition, toOAuth } from "./QlamSettings.ts"

/** Providers of QLAM: an authorization server as any other, once its entry is understood. */
export const type = ProviderType.make({
  ...definition,
  make: (entry, identity) => OAuth.make(toOAuth(entry), identity)
})
