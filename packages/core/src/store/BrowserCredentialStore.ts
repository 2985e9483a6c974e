/**
 * Credentials in a web page. `CredentialStore.layerMemory` is the one to begin with: it forgets with the page, and
 * nobody else can read it. This one keeps them in a `Storage` (`localStorage`, `sessionStorage`), from one visit to the next and
 * for all tabs of the origin, at a price that its option names.
 *
 * ```
 * keyfob:<key>            {"version":1,"credential":{…}}
 * keyfob:<key>:damaged    what could not be understood, when something was written over it
 * ```
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Predicate from "effect/Predicate"
import * as Scope from "effect/Scope"
import { ConfigurationInvalid, StoreFailed } from "../AuthError.ts"
import type { Credential } from "../Credential.ts"
import { CredentialStore, type Slot } from "./CredentialStore.ts"
import * as CredentialText from "./CredentialText.ts"

/**
 * Says that one knows: any script that ever runs in a page of the origin (a dependency, a tag manager, an injection) can
 * read every token in its storage, refresh tokens too, and take them elsewhere.
 */
export const everyScriptOfThisOriginCanReadTheTokens: unique symbol = Symbol.for(
  "keyfob/everyScriptOfThisOriginCanReadTheTokens"
)

/** What is used of a page's `Storage`. */
export interface PageStorage {
  readonly length: number
  key(index: number): string | null
  getItem(name: string): string | null
  setItem(name: string, value: string): void
  removeItem(name: string): void
}

/** What is used of `navigator.locks` (Web Locks API). */
export interface PageLocks {
  request(
    name: string,
    options: { readonly signal: AbortSignal } | { readonly ifAvailable: true },
    use: (lock: unknown) => Promise<void>
  ): Promise<unknown>
}

export interface Options {
  /** `localStorage` or `sessionStorage`. */
  readonly storage: PageStorage
  /** `navigator.locks`; there are none where a page is not secure (https, or a loopback address). */
  readonly locks: PageLocks | undefined
  readonly exposure: typeof everyScriptOfThisOriginCanReadTheTokens
}

const prefix = "keyfob:"
const aside = ":damaged"
const waitAtMost = Duration.seconds(60)
/** How long a browser may take to show one tab what another wrote. None promises a time; milliseconds are usual. */
const showsWithin = Duration.millis(100)

const failed = (reason: StoreFailed["reason"], location: string, detail: string) =>
  new StoreFailed({ reason, store: "browser", location, detail })

const nameOf = (cause: unknown) => (Predicate.hasProperty(cause, "name") ? String(cause.name) : "it threw")

const make = Effect.fnUntraced(function* ({
  locks,
  storage
}: Options): Effect.fn.Return<CredentialStore["Service"], ConfigurationInvalid> {
  if (locks === undefined) {
    return yield* new ConfigurationInvalid({
      reason: "NotSupported",
      detail: "tabs cannot share credentials without navigator.locks, which this page does not have; is it secure?"
    })
  }

  const reading = <A>(location: string, evaluate: () => A) =>
    Effect.try({ try: evaluate, catch: (cause) => failed("Unreadable", location, nameOf(cause)) })

  const writing = (location: string, evaluate: () => void) =>
    Effect.try({
      try: evaluate,
      catch: (cause) => {
        const name = nameOf(cause)
        return failed(name === "QuotaExceededError" ? "Full" : "ReadOnly", location, name)
      }
    })

  const decode = Effect.fnUntraced(function* (name: string, text: string) {
    const credential = yield* Effect.mapError(CredentialText.decode(text), (detail) => failed("Corrupt", name, detail))
    if (prefix + credential.key.canonical !== name) {
      return yield* failed("Corrupt", name, "the credential of another key")
    }
    return credential
  })

  const read = Effect.fnUntraced(function* (name: string): Effect.fn.Return<Option.Option<Credential>, StoreFailed> {
    const text = yield* reading(name, () => storage.getItem(name))
    return text === null ? Option.none() : Option.some(yield* decode(name, text))
  })

  const slotOf = (name: string): Slot => ({
    read: read(name),
    write: Effect.fnUntraced(function* (credential) {
      const damaged = yield* read(name).pipe(
        Effect.as(false),
        Effect.catchIf(
          (error) => error.reason === "Corrupt",
          () => Effect.succeed(true)
        )
      )
      const text = yield* CredentialText.encode(credential)
      yield* writing(name, () => {
        if (damaged) storage.setItem(name + aside, storage.getItem(name) ?? "")
        storage.setItem(name, text)
      })
      if (damaged) yield* Effect.logWarning(`${name} was damaged; it is kept as ${name}${aside}`)
    }),
    remove: writing(name, () => {
      storage.removeItem(name)
      storage.removeItem(name + aside)
    })
  })

  /** The browser gives it to one tab at a time, and takes it back when the tab is closed. It does not run out. */
  const lock = Effect.fnUntraced(function* (name: string) {
    const abort = new AbortController()
    let release = () => {}
    const held = new Promise<void>((resolve) => {
      release = resolve
    })
    let given: Promise<unknown> = Promise.resolve()
    // First, so that there is no moment between having it and knowing what to give back: nor is there one where it comes
    // to who has been stopped.
    yield* Effect.addFinalizer(() =>
      Effect.promise(() => {
        abort.abort()
        release()
        return given
      })
    )
    const ask = (options: Parameters<PageLocks["request"]>[1]) =>
      Effect.callback<boolean, StoreFailed>((resume) => {
        const use = (lock: unknown) => {
          resume(Effect.succeed(lock !== null))
          return lock === null ? Promise.resolve() : held
        }
        given = locks
          .request(name, options, use)
          .catch((cause: unknown) => resume(Effect.fail(failed("Unavailable", name, nameOf(cause)))))
      })
    if (yield* ask({ ifAvailable: true })) return
    yield* ask({ signal: abort.signal }).pipe(
      Effect.interruptible,
      Effect.timeoutOrElse({
        duration: waitAtMost,
        orElse: () => Effect.fail(failed("Busy", name, `waited ${Duration.toSeconds(waitAtMost)} s`))
      })
    )
    // Another tab had it, and may have written as it gave it back.
    yield* Effect.sleep(showsWithin)
  })

  return CredentialStore.make({
    name: "browser",
    get: (key) => read(prefix + key.canonical),
    list: Effect.suspend(() =>
      reading("*", () =>
        Array.from({ length: storage.length }, (_, index) => storage.key(index) ?? "").filter(
          (name) => name.startsWith(prefix) && !name.endsWith(aside)
        )
      )
    ).pipe(
      Effect.flatMap((names) =>
        Effect.forEach(names, (name) =>
          Effect.catchIf(
            read(name),
            (error) => error.reason === "Corrupt",
            (error) => Effect.as(Effect.logWarning(`left out: ${error.message}`), Option.none())
          )
        )
      ),
      Effect.map((found) => found.flatMap(Option.toArray))
    ),
    modify: (key, use) => {
      const name = prefix + key.canonical
      return Effect.acquireUseRelease(
        Scope.make(),
        (scope) => Effect.andThen(Scope.provide(lock(name), scope), use(slotOf(name))),
        (scope, exit) => Scope.close(scope, exit)
      )
    }
  })
})

/**
 * The store over a page's storage. A tab waits up to 60 s for another that modifies the same credential, then fails with
 * `Busy`. Without Web Locks the layer fails with `NotSupported`: two tabs that renew at once would end the session.
 */
export const layer = (options: Options): Layer.Layer<CredentialStore, ConfigurationInvalid> =>
  Layer.effect(CredentialStore, make(options))
