// `oidc-provider` ships no types. This is the part of it that is used here, as its source has it (9.13).
declare module "oidc-provider" {
  import type { IncomingMessage, RequestListener, ServerResponse } from "node:http"

  /** The Koa context, as far as the pages and the recorder look into it. */
  export interface Context {
    readonly req: IncomingMessage
    type: string
    body: unknown
    readonly status: number
    readonly oidc?: {
      readonly route: string
      readonly body?: Record<string, unknown>
      readonly params: { toPlainObject(): Record<string, unknown> }
      readonly session?: { readonly state?: { readonly secret: string } }
      readonly client?: { readonly clientId: string; readonly clientName?: string }
      urlFor(name: string): string
    }
  }

  /** At the token endpoint, once it is known who asks and what for. */
  export interface GrantContext {
    body: unknown
    readonly oidc: {
      readonly params: Readonly<Record<string, string | undefined>>
      readonly client: { readonly clientId: string }
    }
  }

  export interface Adapter {
    upsert(id: string, payload: Payload, expiresIn?: number): Promise<void>
    find(id: string): Promise<Payload | undefined>
    findByUserCode(userCode: string): Promise<Payload | undefined>
    findByUid(uid: string): Promise<Payload | undefined>
    consume(id: string): Promise<void>
    destroy(id: string): Promise<void>
    revokeByGrantId(grantId: string): Promise<void>
  }

  export interface Payload {
    readonly grantId?: string
    readonly userCode?: string
    readonly uid?: string
    consumed?: number
  }

  export interface Token {
    readonly accountId?: string
    readonly clientId: string
    readonly grantId?: string
    readonly scope?: string
    readonly isValid: boolean
    readonly expiration: number
    save(): Promise<string>
  }

  export interface IdToken {
    scope: string
    issue(options: { readonly use: "idtoken" }): Promise<string>
  }

  export interface Grant {
    addOIDCScope(scope: string): void
    addOIDCClaims(claims: ReadonlyArray<string>): void
    addResourceScope(resource: string, scope: string): void
    save(): Promise<string>
  }

  export interface Interaction {
    readonly uid: string
    readonly prompt: {
      readonly name: string
      readonly details: {
        readonly missingOIDCScope?: ReadonlyArray<string>
        readonly missingOIDCClaims?: ReadonlyArray<string>
        readonly missingResourceScopes?: Readonly<Record<string, ReadonlyArray<string>>>
      }
    }
    readonly params: {
      readonly client_id: string
      readonly scope?: string
      readonly acr_values?: string
      readonly login_hint?: string
    }
    readonly session?: { readonly accountId: string }
    readonly grantId?: string
  }

  interface Finder<A> {
    find(id: string): Promise<A | undefined>
  }

  export const errors: {
    readonly InvalidTarget: new () => Error
    readonly InvalidRequest: new (description: string) => Error
    readonly InvalidGrant: new (description: string) => Error
    readonly InvalidScope: new (description: string, scope: string) => Error
  }

  export class Provider {
    constructor(issuer: string, configuration: Record<string, unknown>)
    readonly AccessToken: Finder<Token> & (new (of: Record<string, unknown>) => Token)
    readonly ClientCredentials: Finder<Token>
    readonly IdToken: new (claims: { readonly sub: string }, of: { readonly ctx: GrantContext }) => IdToken
    readonly Client: Finder<{ readonly clientId: string; readonly clientName?: string }>
    readonly Grant: Finder<Grant> & (new (of: { accountId: string; clientId: string }) => Grant)
    registerGrantType(
      name: string,
      handler: (context: GrantContext) => Promise<void>,
      parameters: ReadonlyArray<string>
    ): void
    use(middleware: (context: Context, next: () => Promise<void>) => Promise<void>): this
    callback(): RequestListener
    interactionDetails(request: IncomingMessage, response: ServerResponse): Promise<Interaction>
    interactionFinished(
      request: IncomingMessage,
      response: ServerResponse,
      result: Record<string, unknown>,
      options?: { readonly mergeWithLastSubmission: boolean }
    ): Promise<void>
  }
}
