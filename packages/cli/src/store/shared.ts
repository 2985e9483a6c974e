/** The stores that hosts share: where they are, by file or environment, and whom they trust. */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as HttpTransport from "@keyfob/node/HttpTransport"
import { ConfigurationInvalid, type CredentialStore, printable, type StoreFailed } from "keyfob"
import { getCACertificates } from "node:tls"
import type { Provider } from "../provider.ts"
import type { Workspace } from "../workspace.ts"

export type Name = "redis" | "sql"

const schemes = { redis: ["redis", "rediss"], sql: ["postgres", "postgresql"] } as const

/** The environment's URL where it is one of this store, else the provider's own. */
const urlOf = Effect.fnUntraced(function* (
  store: Name,
  { globals }: Workspace,
  { name, settings }: Pick<Provider, "name" | "settings">
): Effect.fn.Return<Redacted.Redacted, ConfigurationInvalid> {
  const given = [globals.storeUrl, settings.storeUrl].filter((url) => url !== undefined)
  const known: ReadonlyArray<string> = schemes[store]
  const isKnown = (url: Redacted.Redacted) =>
    known.includes(URL.parse(Redacted.value(url))?.protocol.slice(0, -1) ?? "")
  const [url] = given.filter(isKnown)
  if (url !== undefined) return url
  const example = known.map((scheme) => `${scheme}://…`).join(" or ")
  const subject = `provider ${printable(name)} keeps its credential in ${store}`
  return yield* given.length === 0
    ? new ConfigurationInvalid({
        reason: "MissingValue",
        detail: `${subject}: say where, as store_url or KEYFOB_STORE_URL (${example})`
      })
    : new ConfigurationInvalid({ reason: "InvalidValue", detail: `${subject}: its URL is not ${example}` })
})

export const layer = (
  name: Name,
  opened: Workspace,
  provider: Pick<Provider, "name" | "settings">
): Layer.Layer<CredentialStore, ConfigurationInvalid | StoreFailed> =>
  Layer.unwrap(
    Effect.gen(function* () {
      const url = yield* urlOf(name, opened, provider)
      const { caFile } = opened.globals
      const ca =
        caFile === undefined
          ? undefined
          : [...getCACertificates("default"), yield* HttpTransport.readCertificates(caFile)]
      // Each brings a driver, which those who keep credentials elsewhere do without.
      const { layer } = yield* Effect.promise(() => (name === "redis" ? import("./redis.ts") : import("./sql.ts")))
      return layer(url, ca)
    })
  )
