/** The real file system, with something of the test's own before each call. */
import * as NodeServices from "@effect/platform-node/NodeServices"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Layer from "effect/Layer"
import { type PlatformError, systemError } from "effect/PlatformError"
import { Credential, CredentialKey, AccessToken, type CredentialStore } from "keyfob"
import * as DateTime from "effect/DateTime"
import * as Redacted from "effect/Redacted"
import * as FileCredentialStore from "../../src/store/FileCredentialStore.ts"

/** One call: `rename /from`, `open /path`, and for an open file `sync`, `writeAll`, … */
export type Before = (method: string, path: string) => Effect.Effect<void, PlatformError>

/** What Node's file system would fail with. */
export const errno = (code: string): PlatformError =>
  systemError({
    _tag: "Unknown",
    module: "FileSystem",
    method: "test",
    cause: Object.assign(new Error(code), { code })
  })

const intercept = <T extends object>(target: T, before: Before): T => {
  const call = (method: string, path: unknown, effect: unknown) =>
    Effect.isEffect(effect) ? Effect.andThen(before(method, typeof path === "string" ? path : ""), effect) : effect
  return new Proxy(target, {
    get: (_, property) => {
      const member: unknown = Reflect.get(target, property)
      if (typeof property === "symbol") return member
      if (typeof member !== "function") return call(property, undefined, member)
      return (...args: ReadonlyArray<unknown>) => {
        const result = call(property, args[0], Reflect.apply(member, target, args))
        return property === "open" && Effect.isEffect(result)
          ? Effect.map(result as Effect.Effect<FileSystem.File>, (file) => intercept(file, before))
          : result
      }
    }
  })
}

/** The real file system, whose every call goes through `before` first. */
export const layerFileSystem = (before: Before): Layer.Layer<FileSystem.FileSystem> =>
  Layer.effect(
    FileSystem.FileSystem,
    Effect.map(FileSystem.FileSystem, (fs) => intercept(fs, before))
  ).pipe(Layer.provide(NodeServices.layer))

/** A file store in `directory` whose every call to the file system goes through `before` first. */
export const layerStore = (directory: string, before: Before = () => Effect.void): Layer.Layer<CredentialStore> =>
  FileCredentialStore.layer({ directory }).pipe(
    Layer.provide(layerFileSystem(before)),
    Layer.provide(NodeServices.layer)
  )

/** The secret in every credential of these tests. */
export const canary = "canary-77ab01"

export const keyOf = (account: string): CredentialKey =>
  CredentialKey.make({
    issuer: "https://login.example.com",
    clientId: "app",
    account,
    subject: "user",
    scopes: ["openid"],
    resource: [],
    params: {}
  })

export const key = keyOf("work/login")

export const credentialOf = (generation: number, of: CredentialKey = key): Credential =>
  Credential.make({
    key: of,
    generation,
    token: AccessToken.make({ value: Redacted.make(`${canary}-${generation}`), type: "Bearer", scopes: [] }),
    issuedAt: DateTime.makeUnsafe(0),
    refreshToken: Redacted.make(`${canary}-refresh-${generation}`)
  })
