/**
 * Credentials in Redis (7 or later) or Valkey, shared by hosts.
 *
 * ```
 * keyfob:<SHA-256 of the key>         hash: fence, owner (of the last lease), generation, value, damaged
 * keyfob:<SHA-256 of the key>:lease   the owner, for 30 s from its last heartbeat
 * keyfob:index                        set: the hashes that have a value
 * ```
 *
 * Each step is one Lua script, which Redis runs whole or not at all.
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Redis from "effect/persistence/Redis"
import * as Predicate from "effect/Predicate"
import * as Schema from "effect/Schema"
import { CredentialStore, StoreFailed } from "keyfob"
import * as FencedStore from "./FencedStore.ts"
import type { Sealing } from "./Sealing.ts"

const index = "keyfob:index"
const keyOf = (id: string) => `keyfob:${id}`

const script = (lua: string) =>
  Redis.script(
    (id: string, ...args: ReadonlyArray<string | number>) => [keyOf(id), `${keyOf(id)}:lease`, index, ...args],
    {
      numberOfKeys: 3,
      lua: `local hash, lease, index = KEYS[1], KEYS[2], KEYS[3]\n${lua}`
    }
  ).withReturnType<unknown>()

/** A hash that has no value, since its leases never wrote one, goes away after a day. */
const take = script(`
  local holder = redis.call('GET', lease)
  if holder and holder ~= ARGV[1] then return false end
  redis.call('SET', lease, ARGV[1], 'PX', ARGV[2])
  redis.call('HSET', hash, 'owner', ARGV[1])
  local fence = redis.call('HINCRBY', hash, 'fence', 1)
  if redis.call('HEXISTS', hash, 'value') == 0 then redis.call('PEXPIRE', hash, 86400000) end
  return tostring(fence)
`)

const ifLast = (lua: string) =>
  script(`
  local last = redis.call('HMGET', hash, 'owner', 'fence')
  if last[1] ~= ARGV[1] or last[2] ~= ARGV[2] then return 0 end
  ${lua}
  return 1
`)

/** Also where the lease has run out, as long as nobody has taken it since. */
const prolong = ifLast(`redis.call('SET', lease, ARGV[1], 'PX', ARGV[3])`)

const write = ifLast(`
  local before = redis.call('HMGET', hash, 'value', 'generation')
  if ARGV[5] == 'damaged' then
    redis.call('HSET', hash, 'damaged', before[1])
  elseif before[2] and tonumber(before[2]) > tonumber(ARGV[4]) then
    return 0
  end
  redis.call('HSET', hash, 'value', ARGV[3], 'generation', ARGV[4])
  redis.call('PERSIST', hash)
  redis.call('SADD', index, hash)
`)

const remove = ifLast(`
  redis.call('HDEL', hash, 'value', 'generation', 'damaged')
  redis.call('PEXPIRE', hash, 86400000)
  redis.call('SREM', index, hash)
`)

const end = script(`if redis.call('GET', lease) == ARGV[1] then redis.call('DEL', lease) end`)

/** What Redis's error codes mean. An error without a code means that there was no answer. */
const reasons: Readonly<Record<string, StoreFailed["reason"]>> = {
  READONLY: "ReadOnly",
  NOREPLICAS: "ReadOnly",
  OOM: "Full",
  MISCONF: "Full",
  NOPERM: "Unreadable",
  WRONGTYPE: "Unreadable",
  ERR: "WriteFailed",
  WRONGPASS: "Locked",
  NOAUTH: "Locked"
}

/**
 * Why Redis did not do it, by the code alone (`READONLY`, `ECONNREFUSED`): the text behind it may repeat what was sent.
 * Also for the error of a connection's layer, which is a `RedisError` that no store has turned into a typed failure.
 */
export const failureOf = (error: Redis.RedisError, location = "redis"): StoreFailed => {
  const { cause } = error
  // Where a first connection fails, node-redis wraps what the socket said.
  const socket = Predicate.hasProperty(cause, "socketError") ? cause.socketError : cause
  const text = cause instanceof Error ? cause.message : ""
  const [code] = /^[A-Z][A-Z0-9]+(?= |$)/.exec(text) ?? []
  const errno = Predicate.hasProperty(socket, "code") && Predicate.isString(socket.code) ? socket.code : undefined
  const name = cause instanceof Error ? cause.constructor.name : "no answer"
  const reason = (code === undefined ? undefined : reasons[code]) ?? "Unavailable"
  return new StoreFailed({ reason, store: "redis", location, detail: code ?? errno ?? name })
}

const Text = Schema.NullOr(Schema.String)

const make = (sealing?: Sealing) =>
  Effect.map(Redis.Redis, (redis) => {
    const at =
      (location: string) =>
      <A>(effect: Effect.Effect<A, Redis.RedisError>) =>
        Effect.mapError(effect, (error) => failureOf(error, location))
    const understood =
      <S extends Schema.ConstraintDecoder<unknown>>(schema: S, location: string) =>
      (effect: Effect.Effect<unknown, StoreFailed>) =>
        Effect.flatMap(effect, (answer) =>
          Effect.mapError(
            Schema.decodeUnknownEffect(schema)(answer),
            () => new StoreFailed({ reason: "Unreadable", store: "redis", location, detail: "not Redis's answer" })
          )
        )
    const run = (lua: typeof take, id: string, ...args: ReadonlyArray<string | number>) =>
      redis
        .eval(lua)(id, ...args)
        .pipe(at(keyOf(id)))
    const text = (key: string) => redis.send("HGET", key, "value").pipe(at(key), understood(Text, key))
    const done = Effect.map((answer: unknown) => answer === 1)

    return FencedStore.make(
      {
        name: "redis",
        locationOf: keyOf,
        text: (id) => Effect.map(text(keyOf(id)), Option.fromNullOr),
        texts: redis.send("SMEMBERS", index).pipe(
          at(index),
          understood(Schema.Array(Schema.String), index),
          Effect.flatMap((keys) =>
            Effect.forEach(
              keys,
              (key) => Effect.map(text(key), (text) => (text === null ? [] : [{ id: key.slice(7), text }])),
              {
                concurrency: 16
              }
            )
          ),
          Effect.map((found) => found.flat())
        ),
        take: (id, owner) =>
          run(take, id, owner, Duration.toMillis(FencedStore.leaseLasts)).pipe(
            understood(Text, keyOf(id)),
            Effect.map((fence) => (fence === null ? Option.none() : Option.some({ owner, fence })))
          ),
        prolong: (id, { fence, owner }) =>
          Effect.asVoid(run(prolong, id, owner, fence, Duration.toMillis(FencedStore.leaseLasts))),
        end: (id, owner) => Effect.asVoid(run(end, id, owner)),
        write: (id, { fence, owner }, { damaged, generation, text }) =>
          done(run(write, id, owner, fence, text, generation, damaged ? "damaged" : "")),
        remove: (id, { fence, owner }) => done(run(remove, id, owner, fence))
      },
      sealing
    )
  })

/**
 * The store in the Redis that is provided: by `@keyfob/node/RedisConnection`, or another. Waits up to 60 s for
 * another holder, then fails with `Busy`; a server that does not answer within 5 s is `Unavailable`.
 */
export const layer: Layer.Layer<CredentialStore, never, Redis.Redis> = Layer.effect(CredentialStore, make())

/** The same, with values sealed before they leave this process: the server keeps what it cannot read. */
export const layerSealed = (sealing: Sealing): Layer.Layer<CredentialStore, never, Redis.Redis> =>
  Layer.effect(CredentialStore, make(sealing))
