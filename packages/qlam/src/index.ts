export * as Qlam from "./Qlam.ts"
export * from "./QlamAuthClient.ts"
export * as QlamSettings from "./QlamSettings.ts"
export * as QshFile from "./QshFile.ts"
