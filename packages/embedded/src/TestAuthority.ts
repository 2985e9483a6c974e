/** A certificate authority made with openssl, for as long as a scope lasts: a server's certificate, and clients'. */
import { Effect } from "effect"
import { execFileSync } from "node:child_process"
import { readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { directory } from "./server.ts"

/** Files of a certificate and its key (PEM), as a client is given them. */
export interface Issued {
  readonly certFile: string
  readonly keyFile: string
}

export const make = Effect.map(directory("keyfob-authority-"), (folder) => {
  const at = (name: string) => join(folder, name)
  const openssl = (...args: ReadonlyArray<string>) => execFileSync("openssl", args, { cwd: folder, stdio: "pipe" })
  const newKey = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
  /** Of nobody's but its own. */
  const selfSigned = (name: string): Issued => {
    const subject = ["-subj", `/CN=${name}`, "-days", "2"]
    openssl("req", "-x509", ...newKey, ...subject, "-keyout", `${name}.key`, "-out", `${name}.pem`)
    return { certFile: at(`${name}.pem`), keyFile: at(`${name}.key`) }
  }
  const authority = selfSigned("ca")
  const issued = (name: string, names: string): Issued => {
    writeFileSync(at("names"), `subjectAltName=${names}\n`)
    openssl("req", ...newKey, "-subj", `/CN=${name}`, "-keyout", `${name}.key`, "-out", `${name}.csr`)
    const by = ["-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-extfile", "names", "-days", "2"]
    openssl("x509", "-req", "-in", `${name}.csr`, ...by, "-out", `${name}.pem`)
    return { certFile: at(`${name}.pem`), keyFile: at(`${name}.key`) }
  }
  const server = issued("server", "DNS:localhost,IP:127.0.0.1")
  return {
    caFile: authority.certFile,
    /** What a server on this machine is started with. */
    server: {
      key: readFileSync(server.keyFile),
      cert: readFileSync(server.certFile),
      ca: readFileSync(authority.certFile)
    },
    /** A client's certificate of this authority, for a DNS name. */
    client: (name: string) => issued(name, `DNS:${name}`),
    selfSigned
  }
})
