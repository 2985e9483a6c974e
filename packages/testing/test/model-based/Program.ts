/** Random programs as data: they print, they can be shortened, and the same seed always gives the same one. */
import * as Dice from "./Dice.ts"

/** How a caller asks: `call` is a request to the API through the authorized client. */
export type How = "token" | "long" | "renew" | "call"
/** Who signs in. */
export type Whose = "person" | "machine"
/** Whose token is asked for. `derived`: one that is had for the person's. */
export type Asked = Whose | "derived"

/** What becomes of requests to the token endpoint. `lost…`: the provider did its work, its answer never arrives. */
export type Trouble =
  | "503"
  | "500"
  | "502"
  | "429"
  | "page"
  | "redirect"
  | "slow"
  | "hang"
  | "lostHang"
  | "reset"
  | "lostReset"
  | "half"

/** `commit` is a write of a new generation: the disk is full once there is something to be lost. */
export type Operation = "get" | "read" | "write" | "commit" | "remove"

/** One step. Process numbers count from 0; `seed` decides between operations that could go on at the same moment. */
export type Step =
  /** Somebody asks, and does not wait for the answer before the program goes on. */
  | { readonly do: "ask"; readonly process: number; readonly whose: Asked; readonly how: How }
  /** The one who asked last gives up. */
  | { readonly do: "giveUp"; readonly process: number }
  | { readonly do: "login"; readonly process: number; readonly whose: Whose }
  | { readonly do: "logout"; readonly process: number; readonly whose: Whose; readonly revoke: boolean }
  /** So many pending operations (store, network) go on, one at a time; no time passes. */
  | { readonly do: "go"; readonly operations: number; readonly seed: number }
  /** Time passes, and operations take none of it. */
  | { readonly do: "flow"; readonly millis: number; readonly seed: number }
  /** The same, until so long before (or after) the end of the person's token. */
  | { readonly do: "edge"; readonly millis: number; readonly seed: number }
  /** Time passes, and no operation gets on: disks and networks are slow. */
  | { readonly do: "stall"; readonly millis: number }
  /** The clock of one process is set, timers do not notice. */
  | { readonly do: "jump"; readonly process: number; readonly millis: number }
  /** kill -9, and a new process in its place. */
  | { readonly do: "crash"; readonly process: number }
  /** SIGTERM: its scope is closed, and a new process in its place. */
  | { readonly do: "shutdown"; readonly process: number }
  /** SIGSTOP and SIGCONT. */
  | { readonly do: "pause"; readonly process: number }
  | { readonly do: "resume"; readonly process: number }
  | { readonly do: "trouble"; readonly what: Trouble; readonly times: number }
  | { readonly do: "outage"; readonly millis: number; readonly as: "unreachable" | "unavailable" }
  /** The next so many store operations of a kind fail; `late`: after they took effect. */
  | { readonly do: "store"; readonly operation: Operation; readonly times: number; readonly late: boolean }
  | { readonly do: "revokeAll" }
  /** All trouble ends; whoever asks must get a token soon. */
  | { readonly do: "recover"; readonly seed: number }

export interface Settings {
  readonly processes: number
  /** In seconds, as the next three. */
  readonly accessLifetime: number
  readonly idle: number
  readonly absolute: number
  readonly grace: number
  readonly rotation: boolean
  /** What a 429 asks to wait, in seconds. */
  readonly retryAfter: number
  /** Whether each process renews its tokens though nobody asks for them. */
  readonly keepsWarm?: boolean
}

export interface Program {
  readonly settings: Settings
  readonly steps: ReadonlyArray<Step>
}

const minute = 60_000
const hour = 60 * minute
const day = 24 * hour

/** What kinds of trouble a program has: one with all of them at once explains every loss away. */
interface Climate {
  readonly crashes: boolean
  readonly pauses: boolean
  readonly losses: boolean
  readonly storeFaults: boolean
  readonly jumps: boolean
}

const settingsOf = (dice: Dice.Dice): Settings => {
  const accessLifetime = dice.pick([20, 300, 3600, 3600, day / 1000])
  return {
    processes: dice.pick([1, 2, 2, 3]),
    accessLifetime,
    idle: dice.pick([14 * 86_400, 14 * 86_400, accessLifetime * 3]),
    absolute: dice.pick([90 * 86_400, 90 * 86_400, accessLifetime * 10]),
    grace: dice.pick([0, 0, 0, 30, 600]),
    rotation: !dice.oneIn(5),
    retryAfter: dice.pick([2, 20, 20, 3 * 3600]),
    keepsWarm: dice.oneIn(3) && (accessLifetime === 300 || accessLifetime === 3600)
  }
}

/** A program for a seed. It begins with somebody signed in, most of the time. */
export const random = (seed: string, length: number): Program => {
  const dice = Dice.seeded(`program ${seed}`)
  const settings = settingsOf(dice)
  const climate: Climate = {
    crashes: dice.oneIn(2),
    pauses: dice.oneIn(4),
    losses: dice.oneIn(3),
    storeFaults: dice.oneIn(3),
    jumps: dice.oneIn(3)
  }
  const steps: Array<Step> = []
  if (!dice.oneIn(10)) {
    steps.push({ do: "login", process: 0, whose: "person" }, { do: "flow", millis: 10_000, seed: 0 })
  }
  while (steps.length < length - 1) steps.push(stepOf(dice, settings, climate))
  return { settings, steps: [...steps, { do: "recover", seed: dice.below(1000) }] }
}

const stepOf = (dice: Dice.Dice, settings: Settings, climate: Climate): Step => {
  const process = dice.below(settings.processes)
  const seed = dice.below(1_000_000)
  const whose = dice.pick<Whose>(["person", "person", "person", "person", "machine"])
  const life = settings.accessLifetime * 1000
  const kind = dice.below(100)
  if (kind < 5)
    return { do: "ask", process, whose: "derived", how: dice.pick<How>(["token", "token", "long", "renew"]) }
  if (kind < 26)
    return { do: "ask", process, whose, how: dice.pick<How>(["token", "token", "long", "renew", "call", "call"]) }
  if (kind < 52) return { do: "go", operations: 1 + dice.below(6), seed }
  if (kind < 64)
    return { do: "flow", millis: dice.pick([100, 1000, 20_000, minute, life * 0.95, life * 0.95, life]), seed }
  if (kind < 66) return { do: "edge", millis: dice.pick([-60_000, -life * 0.1, -5000, -1000, -1, 0, 1, 1000]), seed }
  if (kind < 69) return { do: "stall", millis: dice.pick([100, 5000, 16_000, 31_000, 61_000, life * 0.95, life]) }
  if (kind < 70) return { do: "giveUp", process }
  if (kind < 73) return { do: "login", process, whose }
  if (kind < 74) return { do: "logout", process, whose, revoke: !dice.oneIn(3) }
  if (kind < 78) return climate.crashes ? { do: "crash", process } : { do: "shutdown", process }
  if (kind < 80) return { do: "shutdown", process }
  if (kind < 84 && climate.pauses) return { do: dice.oneIn(2) ? "pause" : "resume", process }
  if (kind < 87 && climate.jumps) {
    return { do: "jump", process, millis: dice.pick([-day, -hour, -2 * life, -1000, 1000, life, hour, 30 * day]) }
  }
  if (kind < 92) {
    const mild = ["503", "429", "reset", "hang", "slow", "500"] as const
    const bad = [...mild, "502", "page", "redirect", "lostHang", "lostReset", "half"] as const
    return { do: "trouble", what: dice.pick<Trouble>(climate.losses ? bad : mild), times: 1 + dice.below(5) }
  }
  if (kind < 93)
    return { do: "outage", millis: dice.pick([5000, minute, life]), as: dice.pick(["unreachable", "unavailable"]) }
  if (kind < 97 && climate.storeFaults) {
    return {
      do: "store",
      operation: dice.pick<Operation>(["get", "read", "write", "write", "commit", "remove"]),
      times: dice.pick([1, 2, 5]),
      late: dice.oneIn(3)
    }
  }
  if (kind < 98 && dice.oneIn(2)) return { do: "revokeAll" }
  if (kind < 99) return { do: "recover", seed }
  return { do: "flow", millis: minute, seed }
}

/** A program as text that can be pasted back. */
export const print = ({ settings, steps }: Program): string =>
  [
    JSON.stringify(settings),
    ...steps.map((step, index) => `${String(index).padStart(4)} ${JSON.stringify(step)}`)
  ].join("\n")
