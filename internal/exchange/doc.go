// Package exchange exchanges an identity for the password of a registry. It is the only package
// that uses the AWS SDK. The caller has decided the identity with token.Identify, and caches the
// result.
//
// Login does this in order:
//
//  1. It reads AWS_CA_BUNDLE, which replaces the system's root certificates.
//  2. If the identity is an OIDC token, it resolves and checks the endpoints of STS and ECR, and
//     starts to connect to them in the background (preconnect.go). Then it requests the token from
//     the CI (token.Identity.Token).
//  3. Otherwise it gets AWS credentials: the access keys in the environment, or those of the SDK's
//     default chain (default_chain.go). A profile with credential_process (process.go) or with a
//     sign-in session of "aws sso login" or "aws login" (signin.go) is handled here, not by the SDK.
//  4. It assumes the roles of LoginInput.Roles in order. The first role of an OIDC identity is
//     assumed with the token (AssumeRoleWithWebIdentity). Every other role is assumed with the
//     credentials of the previous step (AssumeRole). Without roles this step is empty.
//  5. It requests the password with the last credentials (GetAuthorizationToken of ECR or ECR
//     Public).
//  6. If STS reports that the token has expired, and the CI can issue a new one, it requests a new
//     token and repeats steps 4 and 5 once.
//
// A failed step ends the login. No step falls back to another identity. Each request to AWS has a
// timeout and is retried on temporary errors (client.go). No token, credentials or signed request
// is sent to a plain http endpoint, except on loopback, for metadata services or when the user
// allows it (endpoint.go). Errors contain no secret (errors.go).
package exchange
