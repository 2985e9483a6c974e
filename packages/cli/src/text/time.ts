/** Instants for a person: how far away, which is what one wants to know of an expiry. */
import * as DateTime from "effect/DateTime"

const units = [
  ["d", 86_400],
  ["h", 3600],
  ["min", 60]
] as const

export const relative = (instant: DateTime.Utc, now: number): string => {
  const seconds = Math.round((DateTime.toEpochMillis(instant) - now) / 1000)
  if (seconds === 0) return "now"
  const size = Math.abs(seconds)
  const [unit, length] = units.find(([, length]) => size >= 2 * length) ?? ["s", 1]
  const amount = `${Math.floor(size / length)} ${unit}`
  return seconds < 0 ? `${amount} ago` : `in ${amount}`
}

/** As JSON has it. */
export const iso = (instant: DateTime.Utc | undefined): string | undefined =>
  instant === undefined ? undefined : DateTime.formatIso(instant)
