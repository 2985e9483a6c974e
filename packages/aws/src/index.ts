export * as AwsRole from "./AwsRole.ts"
