/**
 * Sees everything that happens (requests, answers, what becomes durable, what callers get) and holds it against the laws.
 * It keeps the first broken one. Every exemption below says which decision of docs/architecture.md it stands on.
 */
import type { Credential, CredentialKey } from "keyfob"
import { DateTime, Equal, Formatter, Redacted } from "effect"
import type { Ask } from "./Ask.ts"
import type { Owner, World } from "./World.ts"

export interface Violation {
  readonly law: string
  readonly what: string
}

/** One refresh request, from its sending to what its sender got. */
export interface Exchange {
  readonly by: Owner
  readonly key: string
  /** The refresh token that was spent. */
  readonly spent: string
  readonly at: number
  /** Its sender's hold on the store: a new attempt has a new one. */
  readonly lease: object | undefined
  /** Of its sender, when it left. */
  readonly writeFaultsBefore: number
  /** The provider certainly did not process it. */
  isHarmless: boolean
  /** `cut`: its sender gave up on it, or was killed. */
  state: "in flight" | "whole" | "broken" | "cut"
  /** Of a whole answer that brought tokens. */
  brought?: { readonly access: string; readonly refresh: string }
}

interface Issued {
  readonly expiresAt: number | undefined
  /** How far its writer found the provider's clock, which is right here, ahead of its own. */
  readonly clockOffset: number | undefined
  /** When it was durable for the first time, and how many exchanges had been sent by then. */
  readonly at: number
  readonly sent: number
}

const accessOf = (credential: Credential | undefined) =>
  credential === undefined ? undefined : Redacted.value(credential.token.value)

/** How far two measures of one clock may be apart. */
const asOneClock = 10_000

/** Whether somebody may hold what is written there against another clock than his own: the writer's, which differs. */
export const readsOtherwise = (by: Owner, { clockOffset }: { readonly clockOffset?: number | undefined }) =>
  clockOffset !== undefined && Math.abs(clockOffset + by.offset) > asOneClock

export class Witness {
  violation: Violation | undefined
  readonly exchanges: Array<Exchange> = []
  /** Every access token that ever was durable, with its end as it was written. */
  readonly durable = new Map<string, Issued>()
  /** How often somebody was about to send under a lease. */
  private readonly sending = new Map<object, number>()
  /** Every token of a person's that was durable, or was had for one, and when they had signed in. */
  private readonly sessions = new Map<string, DateTime.Utc | undefined>()
  /** What each process itself removed or ended, and when. */
  private readonly parted = new Map<Owner, Map<string, number>>()
  /** Refresh tokens the provider said `invalid_grant` to. */
  readonly refused = new Set<string>()
  /** Every secret there was, and every text that somebody could have read. */
  readonly secrets = new Set<string>()
  readonly texts = new Set<string>()
  /** Reads of the store that failed because the program said so. */
  readFaults = 0
  readonly counts = { refreshes: 0, replays: 0, familiesLost: 0, asks: 0, dead: 0, transient: 0, gained: 0 }
  private readonly world: World

  constructor(world: World) {
    this.world = world
  }

  broken(law: string, what: string) {
    this.violation ??= { law, what: `${what} (at ${DateTime.formatIso(DateTime.makeUnsafe(this.world.now))})` }
  }

  /** A refresh request leaves its process. */
  refreshSent(by: Owner, key: string, spent: string, rotates: boolean, lease: object | undefined): Exchange {
    this.counts.refreshes++
    const rival = this.exchanges.find(
      (other) => other.key === key && other.state === "in flight" && !other.by.dead && !other.by.lostLease
    )
    // Who was stopped past its lease cannot know: nobody can look and send in one instant.
    if (rival !== undefined && !by.lostLease) {
      this.broken("never two live refreshes of one credential", `${by.name} sends while ${rival.by.name} waits`)
    }
    const before = this.exchanges.filter((other) => other.spent === spent)
    if (rotates && before.length > 0) this.counts.replays++
    const lost = before.find((other) => other.by === by && other.lease === lease && !other.isHarmless)
    if (lost !== undefined && lease !== undefined) {
      this.broken("a lost answer is not repeated blindly", `${by.name} sends what it sent in the same attempt`)
    }
    for (const { brought, by: first } of before) {
      if (brought === undefined || brought.refresh === spent || by.lostLease) continue
      if (first === by) {
        this.broken("never a lost generation", `${by.name} spends again what it has the successor of`)
      }
      if (this.durable.has(brought.access)) {
        this.broken("never a lost generation", `${by.name} spends what ${first.name} spent well, after it was safe`)
      }
    }
    const exchange: Exchange = {
      by,
      key,
      spent,
      at: this.world.now,
      lease,
      writeFaultsBefore: by.writeFaults,
      isHarmless: false,
      state: "in flight"
    }
    this.exchanges.push(exchange)
    return exchange
  }

  /** The provider ended a sign-in because `spent` came twice: somebody must have had a reason. */
  endedByReuse(spent: string) {
    this.counts.familiesLost++
    const all = this.exchanges.filter((other) => other.spent === spent)
    const first = all.slice(0, -1)
    // Who was stopped between its mark and its request, until others had taken over, sends all the same: no store can
    // call that request back (seed ten-million/18900).
    const isLate = all.at(-1)?.by.lostLease === true
    const isExplained =
      isLate ||
      first.some(
        (exchange) =>
          // The answer never came, or not whole (law 1: one replay; law 2: a lost answer is no reason for a login).
          exchange.state !== "whole" ||
          // It came, and its process died, lost its lease or could not write before it was safe.
          (exchange.brought !== undefined &&
            (exchange.by.dead || exchange.by.lostLease || exchange.by.writeFaults > exchange.writeFaultsBefore))
      )
    if (!isExplained) this.broken("never a lost session", "a refresh token was spent twice, and nothing had gone wrong")
  }

  /** Something became durable. */
  written(before: Credential | undefined, after: Credential) {
    const { generation, refreshToken, refused, token } = after
    const expiresAt = token.expiresAt === undefined ? undefined : DateTime.toEpochMillis(token.expiresAt)
    const access = Redacted.value(token.value)
    const { at, sent } = this.durable.get(access) ?? { at: this.world.now, sent: this.exchanges.length }
    this.durable.set(access, { expiresAt, clockOffset: token.clockOffset, at, sent })
    if (after.key.subject === "user" && after.key.use === undefined) this.sessions.set(access, after.signedInAt)
    // What a refresh brought continues the session it came from, and no other.
    const { brought, spent: parent } = this.exchanges.find((exchange) => exchange.brought?.access === access) ?? {}
    if (brought !== undefined && access !== accessOf(before)) {
      const stands = before?.refreshToken === undefined ? undefined : Redacted.value(before.refreshToken)
      if (stands !== parent)
        this.broken("never a lost generation", "a refresh of another session was written over this one")
    }
    if (before === undefined) return
    if (generation < before.generation) {
      this.broken("never a lost generation", `generation ${generation} was written over ${before.generation}`)
    }
    if (generation > before.generation + 1) {
      this.broken("never a lost generation", `generation ${generation} was written over ${before.generation}`)
    }
    if (generation === before.generation && Redacted.value(token.value) !== Redacted.value(before.token.value)) {
      this.broken("never a lost generation", `generation ${generation} was written over another of that number`)
    }
    const spent = before.refreshToken
    if (
      refused === true &&
      before.refused !== true &&
      (spent === undefined || !this.refused.has(Redacted.value(spent)))
    ) {
      this.broken("a transient failure never logs out", "a credential was marked as refused, and nobody refused it")
    }
    if (refused === true && before.refused !== true && after.spending !== generation && spent !== undefined) {
      // Without rotation a token is spent again and again: what was lost before this generation says nothing of it, and
      // that may be after what brought it, which could not be saved at once (seed ci/219).
      const since = this.exchanges
        .slice(this.durable.get(access)?.sent)
        .filter((exchange) => exchange.spent === Redacted.value(spent))
      const isUnfinished = since.slice(0, -1).some(({ isHarmless, state }) => state !== "whole" && !isHarmless)
      if (isUnfinished && !since.some(({ by }) => by.lostLease)) {
        this.broken("an unfinished refresh is told as such", "the mark was gone though an answer had been lost")
      }
    }
    if (spent !== undefined && refreshToken === undefined && refused !== true) {
      this.broken("never a lost generation", "a refresh token was dropped")
    }
  }

  /** Somebody is about to send under a lease: from then on who is cut off cannot know whether it went. */
  sends(lease: object | undefined) {
    if (lease !== undefined) this.sending.set(lease, (this.sending.get(lease) ?? 0) + 1)
  }

  /** The tokens that serve nobody any more once `after`, or nothing, stands where `before` did: those of other sessions. */
  endedBy(key: CredentialKey, before: Credential | undefined, after?: Credential): ReadonlyArray<string> {
    if (key.subject !== "user" || key.use !== undefined || key.links !== undefined) {
      return before === undefined || after !== undefined ? [] : [Redacted.value(before.token.value)]
    }
    const isOver = (signedInAt: DateTime.Utc | undefined) =>
      after === undefined || after.refused === true || !Equal.equals(signedInAt, after.signedInAt)
    return [...this.sessions].flatMap(([access, signedInAt]) => (isOver(signedInAt) ? [access] : []))
  }

  /** A process has ended these, and knows it. */
  partedFrom(by: Owner, tokens: ReadonlyArray<string>, tick: number) {
    const those = this.parted.get(by) ?? new Map<string, number>()
    this.parted.set(by, those)
    for (const token of tokens) those.set(token, tick)
  }

  /** A lease was given back, and the mark that was made under it is still there. */
  leftMarked(lease: { readonly by: Owner }) {
    const all = this.exchanges.filter((exchange) => exchange.lease === lease)
    const last = all.at(-1)
    if (all.length !== this.sending.get(lease)) return
    if (last?.isHarmless === true && last.by.writeFaults === last.writeFaultsBefore) {
      this.broken(
        "only an unfinished refresh is told as such",
        `${lease.by.name} left the mark of what was not processed`
      )
    }
  }

  /** A token is about to be used, or was given to somebody to use. */
  used(by: Owner, access: string, what: string, ask: Ask | undefined) {
    const issued = this.durable.get(access)
    const partedAt = this.parted.get(by)?.get(access)
    if (partedAt !== undefined && ask !== undefined && ask.tick > partedAt) {
      this.broken("never a token that was signed out of", `${what} of ${by.name}, which ended it before it was asked`)
    }
    if (issued === undefined) {
      this.broken("on disk before it is used", `${what} of ${by.name} with a token that never was durable`)
      return
    }
    const now = this.world.now + by.offset
    // There is none better where it is of this very ask's making and came late, and nobody knows of a clock that was set
    // meanwhile.
    const mayBeLate = ask === undefined || issued.at >= ask.at || by.clockSets !== ask.clockSets
    // By a clock that is known to differ from the writer's, it ends when it truly does.
    const trulyEnded =
      issued.expiresAt !== undefined &&
      (!readsOtherwise(by, issued) || this.world.now >= issued.expiresAt + (issued.clockOffset ?? 0) + asOneClock)
    if (issued.expiresAt !== undefined && now >= issued.expiresAt && trulyEnded && !mayBeLate) {
      this.broken(
        "never a token known expired",
        `${what} of ${by.name} with a token that ended ${now - issued.expiresAt} ms ago`
      )
    }
  }

  wasDurableBefore(access: string, at: number): boolean {
    return (this.durable.get(access)?.at ?? at) < at
  }

  /** Something that could be read by somebody. */
  hear(value: unknown) {
    if (this.texts.size < 5000) this.texts.add(typeof value === "string" ? value : Formatter.format(value))
  }

  /** At the end: nothing anybody could read holds a secret. */
  checkTexts() {
    for (const text of this.texts) {
      for (const secret of this.secrets) {
        if (text.includes(secret)) {
          this.broken("never a secret in a log", text.replaceAll(secret, "SECRET").slice(0, 300))
          return
        }
      }
    }
  }
}
