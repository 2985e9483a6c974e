/// <reference path="./oidc-provider.d.ts" />
import type { Adapter, Payload } from "oidc-provider"

/**
 * Where one provider keeps its codes, tokens, grants and sessions.
 *
 * The adapter that comes with `oidc-provider` warns on every start that it forgets everything, which is what is wanted
 * here. Nothing is dropped on expiry: the provider checks that itself, and can then say "expired" rather than "unknown".
 */
export const make = (): ((model: string) => Adapter) => {
  const records = new Map<string, Payload>()

  return (model) => {
    const key = (id: string) => `${model}:${id}`
    const first = (matches: (payload: Payload) => boolean) => {
      for (const [at, payload] of records) if (at.startsWith(`${model}:`) && matches(payload)) return payload
      return undefined
    }
    return {
      upsert: async (id, payload) => {
        records.set(key(id), payload)
      },
      find: async (id) => records.get(key(id)),
      findByUserCode: async (userCode) => first((payload) => payload.userCode === userCode),
      findByUid: async (uid) => first((payload) => payload.uid === uid),
      consume: async (id) => {
        const payload = records.get(key(id))
        if (payload !== undefined) payload.consumed = Math.floor(Date.now() / 1000)
      },
      destroy: async (id) => {
        records.delete(key(id))
      },
      revokeByGrantId: async (grantId) => {
        for (const [at, payload] of records)
          if (at.startsWith(`${model}:`) && payload.grantId === grantId) records.delete(at)
      }
    }
  }
}
