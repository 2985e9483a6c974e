/** What tests of sessions start from: flows, credentials, answers, and a store that tells and fails on demand. */
import { DateTime, Deferred, Effect, Layer, Option, Redacted } from "effect"
import { TestClock } from "effect/testing"
import {
  AccessToken,
  ClientCredentials,
  Credential,
  type CredentialKey,
  CredentialStore,
  DeviceCode,
  StoreFailed,
  TokenSource
} from "keyfob"
import { issuer, json, metadata, provider, type Reply, scripted } from "../scripted.ts"

export const person = DeviceCode.make({ issuer, clientId: "app", scopes: ["openid", "offline_access"] })
export const machine = ClientCredentials.make({ issuer, clientId: "billing", scopes: ["read"] })

/** The answer with the tokens of a generation. */
export const tokens = (generation: number, different: object = {}) =>
  json({
    access_token: `access-${generation}`,
    token_type: "Bearer",
    expires_in: 3600,
    refresh_token: `refresh-${generation}`,
    ...different
  })

/** A person's credential as it is after a login, an hour of life before it. */
export const credential = (generation = 1, different: Partial<typeof Credential.Type> = {}): Credential =>
  Credential.make({
    key: person.key,
    generation,
    token: AccessToken.make({
      value: Redacted.make(`access-${generation}`),
      type: "Bearer",
      expiresAt: DateTime.makeUnsafe(3_600_000),
      scopes: ["openid", "offline_access"]
    }),
    issuedAt: DateTime.makeUnsafe(0),
    refreshToken: Redacted.make(`refresh-${generation}`),
    ...different
  })

/** The same without a refresh token. */
export const withoutRefreshToken = (from: Credential): Credential => {
  const { refreshToken: _, ...rest } = from
  return Credential.make(rest)
}

export const write = (credential: Credential) =>
  CredentialStore.use((store) => store.modify(credential.key, (slot) => slot.write(credential)))

export const remove = (key: CredentialKey = person.key) =>
  CredentialStore.use((store) => store.modify(key, (slot) => slot.remove))

/** What is kept, secrets in clear. */
export const kept = Effect.fnUntraced(function* (key: CredentialKey = person.key) {
  const found = yield* CredentialStore.use((store) => store.get(key))
  if (Option.isNone(found)) return undefined
  const { account, generation, idToken, refreshToken, refused, spending, token } = found.value
  return {
    generation,
    access: Redacted.value(token.value),
    refresh: refreshToken === undefined ? null : Redacted.value(refreshToken),
    idToken: idToken === undefined ? null : Redacted.value(idToken),
    sub: account?.sub ?? null,
    spending: spending ?? null,
    refused: refused ?? false
  }
})

/** A source, the text of its token, and its ways to ask for one. */
export const source = Effect.fnUntraced(function* (flow: Parameters<typeof TokenSource.make>[0] = person) {
  const made = yield* TokenSource.make(flow)
  return { ...made, text: textOf(made.token), asks: [Effect.asVoid(made.token), Effect.asVoid(made.renew)] }
})

export const textOf = <E, R>(token: Effect.Effect<AccessToken, E, R>) =>
  Effect.map(token, ({ value }) => Redacted.value(value))

export const storeFailed = (reason: StoreFailed["reason"] = "WriteFailed") =>
  new StoreFailed({ reason, store: "test", location: "a place" })

/** The memory store. It says what it does, and does `before` first: failing or waiting there is the store's own. */
export const observed = () => {
  const journal: Array<string> = []
  const writes: Array<Credential> = []
  const hooks: { before: (operation: string) => Effect.Effect<void, StoreFailed> } = { before: () => Effect.void }
  const does = (operation: string) =>
    Effect.suspend(() => {
      journal.push(operation)
      return hooks.before(operation)
    })
  const layer = Layer.effect(
    CredentialStore,
    Effect.gen(function* () {
      const memory = yield* CredentialStore
      return CredentialStore.make({
        ...memory,
        name: "observed",
        get: (key) => Effect.andThen(does("get"), memory.get(key)),
        modify: (key, use) =>
          memory.modify(key, (slot) =>
            use({
              read: Effect.andThen(does("read"), slot.read),
              write: (credential) =>
                Effect.suspend(() => {
                  writes.push(credential)
                  const mark = credential.spending === undefined ? "" : " spending"
                  const refused = credential.refused === true ? " refused" : ""
                  return Effect.andThen(does(`write ${credential.generation}${mark}${refused}`), slot.write(credential))
                }),
              remove: Effect.andThen(does("remove"), slot.remove)
            })
          )
      })
    })
  ).pipe(Layer.provide(CredentialStore.layerMemory))
  return { layer, journal, writes, hooks }
}

/** That store, and a provider that answers token requests so. */
export const scene = (replies: Reply | ReadonlyArray<Reply>) => {
  const store = observed()
  const http = scripted({ ...provider, [metadata.token_endpoint]: replies })
  return { store, http, sent: () => http.to(metadata.token_endpoint), layer: Layer.merge(store.layer, http.layer) }
}

/** It is so many minutes after `credential()` was issued. */
export const minutes = (count: number) => TestClock.setTime(count * 60_000)

/** Something that can be held up: `arrived` when it is reached, goes on with `open`. */
export const gate = Effect.gen(function* () {
  const reached = yield* Deferred.make<void>()
  const opened = yield* Deferred.make<void>()
  return {
    pass: Effect.andThen(Deferred.succeed(reached, undefined), Deferred.await(opened)),
    arrived: Deferred.await(reached),
    open: Deferred.succeed(opened, undefined)
  }
})
