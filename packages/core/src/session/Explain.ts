/**
 * What asking a source for its token would do, level by level, without asking anybody; and what it did, afterwards.
 * Data first: {@link text}, {@link mermaid} and {@link json} show it.
 */
import * as Clock from "effect/Clock"
import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import * as Graph from "effect/Graph"
import * as Option from "effect/Option"
import { adviceOf, printable, type StoreFailed } from "../AuthError.ts"
import type { Credential, CredentialKey } from "../Credential.ts"
import * as RefreshPolicy from "./RefreshPolicy.ts"
import type { TokenEvent } from "./TokenEvent.ts"
import type { Origin, TokenSource } from "./TokenSource.ts"

/** How a level's token stands: `due` still serves, and is renewed in the background; `ended` serves nobody. */
export type Standing = "fresh" | "due" | "ended" | "absent" | "refused"

/** What would be done at a level. `refresh`, `obtain` and `exchange` talk to somebody; `sign in` means it would fail, with `LoginRequired`. */
export type Step = "nothing" | "refresh" | "obtain" | "exchange" | "sign in"

/** One level of a chain. */
export interface Level {
  /** `login`, or the link's name and its target: `domain d1`. */
  readonly name: string
  readonly key: CredentialKey
  readonly standing: Standing
  readonly expiresAt?: DateTime.Utc
  /** From when on it is renewed in the background. */
  readonly renewAt?: DateTime.Utc
  readonly step: Step
  /** Whether callers get a token at once, and the step runs beside them. */
  readonly inBackground: boolean
  /** Why, for a person. */
  readonly because: string
  /** What has happened while it was watched. */
  readonly happened: ReadonlyArray<TokenEvent>
}

/** The levels: an edge leads from a parent to what is derived from its token. */
export type Plan = Graph.DirectedGraph<Level, string>

/** What asking these sources would do now. Sources of one chain share their levels. Talks to nobody. */
export const plan = (sources: ReadonlyArray<TokenSource>): Effect.Effect<Plan, StoreFailed> => planned(sources, [])

/** Runs something, and tells how it ended, and what happened meanwhile at each level of these sources. */
export const watch = Effect.fnUntraced(function* <A, E, R>(
  sources: ReadonlyArray<TokenSource>,
  effect: Effect.Effect<A, E, R>
): Effect.fn.Return<{ readonly exit: Exit.Exit<A, E>; readonly plan: Plan }, StoreFailed, R> {
  const events: Array<TokenEvent> = []
  const exit = yield* Effect.scoped(
    Effect.gen(function* () {
      for (const source of levelsOf(sources)) yield* source.observe((event) => void events.push(event))
      return yield* Effect.exit(effect)
    })
  )
  return { exit, plan: yield* planned(sources, events) }
})

/** The sources and all their parents, parents first. */
const levelsOf = (sources: ReadonlyArray<TokenSource>): ReadonlyArray<TokenSource> => {
  const found = new Map<string, TokenSource>()
  const add = (source: TokenSource) => {
    if (found.has(source.key.canonical)) return
    if (source.origin._tag === "Link") add(source.origin.parent)
    found.set(source.key.canonical, source)
  }
  sources.forEach(add)
  return Array.from(found.values())
}

const planned = Effect.fnUntraced(function* (
  sources: ReadonlyArray<TokenSource>,
  events: ReadonlyArray<TokenEvent>
): Effect.fn.Return<Plan, StoreFailed> {
  const now = yield* Clock.currentTimeMillis
  const levels = levelsOf(sources)
  // Which levels are asked for their token, and whether anybody waits for it.
  const asked = new Map(sources.map(({ key }) => [key.canonical, true]))
  const found = new Map<string, Level>()
  // Children first: whether a parent is asked depends on them.
  for (const source of levels.toReversed()) {
    const current = yield* source.current
    const id = source.key.canonical
    const level = levelOf(source, current, yield* nextOf(source.origin, current), now, asked.get(id))
    const happened = events.filter(({ key }) => key.canonical === id)
    found.set(id, { ...level, happened })
    if (level.step === "exchange" && source.origin._tag === "Link") {
      const parent = source.origin.parent.key.canonical
      asked.set(parent, asked.get(parent) === true || !level.inBackground)
    }
  }
  return Graph.directed<Level, string>((mutable) => {
    const nodes = new Map<string, Graph.NodeIndex>()
    for (const { key, origin } of levels) {
      const level = found.get(key.canonical)
      if (level === undefined) continue
      const node = Graph.addNode(mutable, level)
      nodes.set(key.canonical, node)
      const parent = origin._tag === "Link" ? nodes.get(origin.parent.key.canonical) : undefined
      if (parent !== undefined) Graph.addEdge(mutable, parent, node, level.step === "exchange" ? "exchange" : "")
    }
  })
})

const levelOf = (
  { key, origin }: TokenSource,
  current: Option.Option<Credential>,
  next: Step,
  now: number,
  isWaitedFor: boolean | undefined
): Omit<Level, "happened"> => {
  const standing = Option.match(current, { onNone: () => "absent" as const, onSome: (it) => standingOf(it, now) })
  const credential = Option.getOrUndefined(current)
  const renewAt = credential === undefined ? undefined : RefreshPolicy.softPoint(credential)
  const expiresAt = credential?.token.expiresAt
  const isAsked = isWaitedFor !== undefined
  const step = isAsked && standing !== "fresh" ? next : "nothing"
  return {
    name: origin._tag === "Link" ? [origin.name, ...targetOf(origin.target)].join(" ") : "login",
    key,
    standing,
    ...(expiresAt === undefined ? {} : { expiresAt }),
    ...(renewAt === undefined ? {} : { renewAt }),
    step,
    inBackground: (standing === "due" || isWaitedFor === false) && step !== "nothing",
    because: isAsked ? reasons[standing] : "nobody asks for it: what hangs on it has a token"
  }
}

const targetOf = (target: string | undefined) => (target === undefined ? [] : [printable(target)])

const standingOf = (credential: Credential, now: number): Standing => {
  if (credential.refused === true) return "refused"
  // A token that cannot be renewed is given out until its very end.
  const serves = RefreshPolicy.isRenewable(credential) ? RefreshPolicy.isFresh : RefreshPolicy.isServing
  if (!serves(credential, now)) return "ended"
  return RefreshPolicy.isDue(credential, now) ? "due" : "fresh"
}

const nextOf = Effect.fnUntraced(function* (
  origin: Origin,
  current: Option.Option<Credential>
): Effect.fn.Return<Step> {
  if (origin._tag === "Link") return "exchange"
  if (Option.exists(current, ({ refreshToken, refused }) => refreshToken !== undefined && refused !== true)) {
    return "refresh"
  }
  const canObtain = origin._tag === "Machine" && (yield* origin.canObtain ?? Effect.succeed(true))
  return canObtain ? "obtain" : "sign in"
})

const reasons: Readonly<Record<Standing, string>> = {
  fresh: "its token serves, and is not due yet",
  due: "its token serves, and is past its soft point",
  ended: "its token is past its hard point",
  absent: "there is no token of this session",
  refused: "the provider ended the session"
}

const levels = (plan: Plan) => Array.from(plan, ([index, level]) => ({ index, level }))

const until = ({ expiresAt }: Level) => (expiresAt === undefined ? "" : ` until ${DateTime.formatIso(expiresAt)}`)

/** A line for each level. */
export const text = (plan: Plan): string =>
  levels(plan)
    .map(({ level }) => {
      const beside = level.inBackground ? " in the background" : ""
      const line = `${level.name}: ${level.standing}${until(level)}; ${level.step}${beside}, since ${level.because}`
      return [line, ...level.happened.map((event) => `  ${said(event)}`)].join("\n")
    })
    .join("\n")

/** A flowchart in Mermaid's language. */
export const mermaid = (plan: Plan): string =>
  Graph.toMermaid(plan, {
    nodeLabel: (level) =>
      [level.name, `${level.standing}${until(level)}`, ...(level.step === "nothing" ? [] : [level.step])].join("\n"),
    edgeLabel: (label) => label,
    nodeShape: ({ step }) => (step === "nothing" ? "rectangle" : step === "sign in" ? "hexagon" : "rounded")
  })

/** Nodes and edges as plain JSON; times in ISO 8601. */
export const json = (plan: Plan) => ({
  nodes: levels(plan).map(({ index, level }) => ({
    id: index,
    name: level.name,
    standing: level.standing,
    ...(level.expiresAt === undefined ? {} : { expires_at: DateTime.formatIso(level.expiresAt) }),
    ...(level.renewAt === undefined ? {} : { renew_at: DateTime.formatIso(level.renewAt) }),
    step: level.step,
    in_background: level.inBackground,
    because: level.because,
    happened: level.happened.map(said)
  })),
  edges: Array.from(Graph.edges(plan), ([, { source, target }]) => ({ from: source, to: target }))
})

const said = (event: TokenEvent): string => {
  switch (event._tag) {
    case "Transient":
    case "LoginRequired":
      return `${event._tag}: ${adviceOf(event.error).what}`
    default:
      return event._tag
  }
}
