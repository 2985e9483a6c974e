/**
 * Everything that could happen next, in one place: fibers that are ready, operations that wait for their turn, and timers.
 * Nothing goes on unless the program says so, and nothing here depends on the machine: the same choices, the same run.
 */
import { Effect } from "effect"
import type { Clock, Duration as Durations } from "effect"
import { Duration, Scheduler } from "effect"
import type { Dice } from "./Dice.ts"

/** Who an operation or a timer belongs to. The network belongs to nobody: it goes on when a process dies. */
export interface Owner {
  readonly name: string
  /** Killed: nothing of it happens any more, not even its finalizers. */
  dead: boolean
  paused: boolean
  /** How much its wall clock is off the true time. */
  offset: number
  /** How often its wall clock was set: there and back leaves no offset. */
  clockSets: number
  /** When it died or was stopped. */
  stoodStillAt: number
  /** It was stopped for so long that somebody took its lease, and may not know. */
  lostLease: boolean
  /** How often its writes failed because the program said so. */
  writeFaults: number
  /** How often the provider said `invalid_grant` to it. */
  refusals: number
}

interface Operation {
  readonly owner: Owner
  readonly label: string
  readonly isReady: () => boolean
  readonly go: () => void
}

interface Timer {
  readonly owner: Owner
  readonly at: number
  readonly order: number
  readonly fire: () => void
}

export const ownerOf = (name: string, offset = 0): Owner => ({
  name,
  dead: false,
  paused: false,
  offset,
  clockSets: 0,
  stoodStillAt: 0,
  lostLease: false,
  writeFaults: 0,
  refusals: 0
})

const everybody = ownerOf("everybody")

/** As the file store has it, for a holder on another machine. */
const abandonedAfter = 30_000

/** Too many operations without time passing: somebody runs in circles. */
export class EndlessLoop extends Error {}

export class World {
  /** The true time, in milliseconds. */
  now = Date.UTC(2026, 0, 1)
  private readonly start = this.now
  private readonly tasks: Array<() => void> = []
  private operations: Array<Operation> = []
  private timers: Array<Timer> = []
  private order = 0
  /** Operations that went on so far. */
  moved = 0

  readonly scheduler = new Scheduler.MixedScheduler("async", (task) => {
    this.tasks.push(task)
    return () => {
      const index = this.tasks.indexOf(task)
      if (index !== -1) this.tasks.splice(index, 1)
    }
  })

  /** Lets every fiber run until it waits for an operation, a timer or another fiber. */
  settle() {
    for (let task = this.tasks.shift(); task !== undefined; task = this.tasks.shift()) task()
  }

  /** Waits until the program lets this operation go on; `isReady` says whether it could. */
  turn(owner: Owner, label: string, isReady: () => boolean = () => true): Effect.Effect<void> {
    return Effect.callback<void>((resume) => {
      const operation = { owner, label, isReady, go: () => resume(Effect.void) }
      this.operations.push(operation)
      return Effect.sync(() => {
        this.operations = this.operations.filter((other) => other !== operation)
      })
    })
  }

  /** The clock of a process: its wall clock can be set, its timers follow the true time. */
  clockOf(owner: Owner): Clock.Clock {
    const millis = () => this.now + owner.offset
    const monotonic = () => BigInt(this.now - this.start) * 1_000_000n
    return {
      currentTimeMillisUnsafe: millis,
      currentTimeMillis: Effect.sync(millis),
      currentTimeNanosUnsafe: () => BigInt(millis()) * 1_000_000n,
      currentTimeNanos: Effect.sync(() => BigInt(millis()) * 1_000_000n),
      monotonicTimeNanosUnsafe: monotonic,
      monotonicTimeNanos: Effect.sync(monotonic),
      sleep: (duration: Durations.Duration) =>
        Effect.callback<void>((resume) => {
          const wait = Math.max(0, Math.ceil(Duration.toMillis(duration)))
          const timer = { owner, at: this.now + wait, order: this.order++, fire: () => resume(Effect.void) }
          this.timers.push(timer)
          return Effect.sync(() => {
            this.timers = this.timers.filter((other) => other !== timer)
          })
        })
    }
  }

  /** A process is gone: nothing of it will happen. */
  kill(owner: Owner) {
    owner.dead = true
    owner.stoodStillAt = this.now
    this.wakeAt(this.now + abandonedAfter)
    this.operations = this.operations.filter((operation) => operation.owner !== owner)
    this.timers = this.timers.filter((timer) => timer.owner !== owner)
  }

  /** A process stands still, its heartbeat as well. */
  pause(owner: Owner) {
    if (owner.paused) return
    owner.paused = true
    owner.stoodStillAt = this.now
    this.wakeAt(this.now + abandonedAfter)
  }

  /** Whether others may take what it holds. */
  isAbandoned(owner: Owner): boolean {
    return (owner.dead || owner.paused) && this.now >= owner.stoodStillAt + abandonedAfter
  }

  /** A moment at which those who wait look again. */
  private wakeAt(at: number) {
    this.timers.push({ owner: everybody, at, order: this.order++, fire: () => {} })
  }

  pending(): ReadonlyArray<string> {
    return this.operations.map(({ label, owner }) => `${owner.name} ${label}`)
  }

  /** Lets one pending operation go on. Whether there was one. */
  moveOne(dice: Dice): boolean {
    const ready = this.operations.filter(({ isReady, owner }) => !owner.paused && isReady())
    const chosen = ready[ready.length === 0 ? 0 : dice.below(ready.length)]
    if (chosen === undefined) return false
    this.operations = this.operations.filter((operation) => operation !== chosen)
    this.moved++
    chosen.go()
    this.settle()
    return true
  }

  moveAll(dice: Dice) {
    for (let count = 0; this.moveOne(dice); count++) {
      if (count > 20_000) throw new EndlessLoop(this.pending().slice(0, 5).join(", "))
    }
  }

  /** Lets time pass, timer by timer. With dice, operations go on meanwhile. */
  pass(millis: number, dice?: Dice) {
    const end = this.now + millis
    for (let count = 0; ; count++) {
      if (count > 50_000) throw new EndlessLoop(`timers until ${end}`)
      if (dice !== undefined) this.moveAll(dice)
      let next: Timer | undefined
      for (const timer of this.timers) {
        if (timer.owner.paused || timer.at > end) continue
        if (next === undefined || timer.at < next.at || (timer.at === next.at && timer.order < next.order)) next = timer
      }
      if (next === undefined) break
      const fired = next
      this.timers = this.timers.filter((timer) => timer !== fired)
      this.now = Math.max(this.now, fired.at)
      fired.fire()
      this.settle()
    }
    this.now = end
  }
}
