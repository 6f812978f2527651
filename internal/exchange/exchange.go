package exchange

import (
	"context"
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/ecr"
	"github.com/aws/aws-sdk-go-v2/service/ecrpublic"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/aws-sdk-go-v2/service/sts/types"
	"github.com/aws/smithy-go/middleware"

	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/config"
	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/token"
)

// Credentials are a registry's user name and password. Durations count from the return of
// Login. String and GoString omit the password.
type Credentials struct {
	Username string
	Password string
	TTL      time.Duration // until the password expires, by AWS's clock
	FreshFor time.Duration // until the AWS credentials behind it expire; TTL if they do not
	Subject  string        // of the OIDC token; "" for AWS credentials

	// NoCache means that the login must not be cached, because the cache key does not depend on the
	// token in the profile's token file.
	NoCache bool
}

// String returns a description of the credentials without the password.
func (c Credentials) String() string { return fmt.Sprintf("login of %q for %v", c.Username, c.TTL) }

// GoString returns the same text as String.
func (c Credentials) GoString() string { return c.String() }

// LoginInput is the input of Login. OnToken and OnStep may be nil, and Roles may be empty.
type LoginInput struct {
	Settings config.Settings
	Roles    config.RoleChain // the chain of Settings that applies to Identity
	Identity token.Identity
	Env      token.Env
	Debug    func(format string, args ...any)
	OnToken  func(token.Token) // is called with each OIDC token
	OnStep   func(Outcome)     // is called after each successful step

	token        token.Token
	roots        *x509.CertPool // nil for the system's
	preconnected *preconnection // nil for none
	secrets      []string       // of the sessions so far; AWS may quote them in an error
}

// Login returns the credentials of a registry. The package comment lists its steps. It blocks until
// it succeeds or fails, or until ctx is done. The error has one of the error types of this package
// or of package token, or reports an invalid setting. Several processes may call Login at the same
// time.
func Login(ctx context.Context, in LoginInput) (Credentials, error) {
	var err error
	if in.roots, err = CABundle(in.Env); err != nil {
		return Credentials{}, err
	}
	if !in.Identity.OIDC() {
		return in.assumeRolesAndGetPassword(ctx)
	}
	ctx, cancel := context.WithCancel(ctx) // cancel closes the preconnected connections
	defer cancel()
	if in.preconnected, err = in.preconnect(ctx); err != nil {
		return Credentials{}, err
	}
	client := token.NewClient(in.roots)
	if in.token, err = in.Identity.Token(ctx, client, in.Settings.Audience); err != nil {
		return Credentials{}, err
	}
	in.reportToken()
	login, err := in.assumeRolesAndGetPassword(ctx)
	renewable := in.Identity.TokenSource.Renew != nil
	if err == nil || !renewable || errorCode(err) != "ExpiredTokenException" {
		return login, err
	}
	in.Debug("STS reports that the token has expired; requesting a new one, once")
	renewed, renewErr := in.Identity.Renew(ctx, client, in.Settings.Audience)
	if renewErr != nil {
		in.Debug("requesting a new token failed: %v", renewErr)
		return Credentials{}, err
	}
	in.token = renewed
	in.reportToken()
	return in.assumeRolesAndGetPassword(ctx)
}

// reportToken passes the token to Debug and OnToken.
func (in LoginInput) reportToken() {
	c := in.token.Claims
	in.Debug("received a %v, issuer %q, audience %q, expires %v",
		in.token, c.Issuer, c.Audience, c.Expires)
	if in.OnToken != nil {
		in.OnToken(in.token)
	}
}

// session is a set of AWS credentials: a role session, or the credentials of an "aws" identity.
type session struct {
	step    Step // that returned the credentials; "" when no role was assumed
	keys    aws.Credentials
	expires bool
	ttl     time.Duration // from now; 0 when they do not expire
	noCache bool          // as in Credentials
}

// assumeRolesAndGetPassword performs steps 3 to 5 of Login, with the token in in.token if the
// identity is an OIDC token.
func (in LoginInput) assumeRolesAndGetPassword(ctx context.Context) (Credentials, error) {
	var (
		cfg aws.Config
		s   session
		err error
	)
	if in.Identity.OIDC() { // preconnect has checked the endpoints
		cfg, err = in.environmentConfig(ctx)
	} else {
		cfg, s, err = in.awsCredentials(ctx)
	}
	if err != nil {
		return Credentials{}, err
	}
	noCache := s.noCache
	for i, role := range in.Roles.ARNs {
		start := time.Now()
		in.secrets = slices.Concat(in.secrets,
			[]string{s.keys.SecretAccessKey, s.keys.SessionToken})
		policy := ""
		if i == len(in.Roles.ARNs)-1 { // the session that requests the password
			policy = in.Settings.SessionPolicy
		}
		if i == 0 && in.Identity.OIDC() {
			s, err = in.assumeRoleWithWebIdentity(ctx, cfg, role, policy)
		} else {
			s, err = in.assumeRole(ctx, cfg, role, policy)
		}
		if err != nil {
			return Credentials{}, err
		}
		cfg.Credentials = credentials.StaticCredentialsProvider{Value: s.keys}
		in.reportStep(Outcome{Step: s.step, Role: role, TTL: s.ttl, Duration: time.Since(start)})
	}
	in.secrets = slices.Concat(in.secrets, []string{s.keys.SecretAccessKey, s.keys.SessionToken})
	start := time.Now()
	login, err := in.password(ctx, cfg)
	if err != nil {
		return Credentials{}, err
	}
	login.FreshFor, login.NoCache, login.Subject = login.TTL, noCache, in.token.Claims.Subject
	if s.expires {
		login.FreshFor = s.ttl
	}
	if in.Settings.Registry.Public {
		// The password of public.ecr.aws probably expires with the role session (kaniko#3199).
		login.TTL = min(login.TTL, login.FreshFor)
	}
	in.reportStep(Outcome{Step: StepPassword, TTL: login.TTL, Duration: time.Since(start)})
	return login, nil
}

// reportStep passes o to OnStep.
func (in LoginInput) reportStep(o Outcome) {
	if in.OnStep != nil {
		in.OnStep(o)
	}
}

// assumeRoleWithWebIdentity assumes a role with the job's token. The request is not signed. STS
// verifies the token's signature and audience, and evaluates the role's trust policy. policy is the
// session policy; "" for none.
func (in LoginInput) assumeRoleWithWebIdentity(
	ctx context.Context, cfg aws.Config, role, policy string,
) (session, error) {
	in.Debug("assuming %s by web identity in %s", role, cfg.Region)
	out, err := in.sts(cfg).AssumeRoleWithWebIdentity(ctx, &sts.AssumeRoleWithWebIdentityInput{
		RoleArn:          aws.String(role),
		RoleSessionName:  aws.String(in.Settings.SessionName),
		WebIdentityToken: aws.String(in.token.Raw),
		DurationSeconds:  seconds(in.Settings.SessionDuration),
		Policy:           optional(policy),
	})
	if err != nil {
		return session{}, in.requestError(StepWebIdentity, role, err)
	}
	return in.parseSession(StepWebIdentity, role, out.Credentials, out.ResultMetadata)
}

// assumeRole assumes a role with the credentials in cfg: those of the previous role in the chain,
// or of an "aws" identity. policy is the session policy; "" for none.
func (in LoginInput) assumeRole(
	ctx context.Context, cfg aws.Config, role, policy string,
) (session, error) {
	in.Debug("assuming %s in %s", role, cfg.Region)
	out, err := in.sts(cfg).AssumeRole(ctx, &sts.AssumeRoleInput{
		RoleArn:         aws.String(role),
		RoleSessionName: aws.String(in.Settings.SessionName),
		DurationSeconds: seconds(in.Settings.SessionDuration),
		Policy:          optional(policy),
		ExternalId:      optional(in.Settings.ExternalID),
	})
	if err != nil {
		return session{}, in.requestError(StepAssumeRole, role, err)
	}
	return in.parseSession(StepAssumeRole, role, out.Credentials, out.ResultMetadata)
}

// parseSession returns the role session in a response of STS. Its TTL is measured by AWS's clock.
func (in LoginInput) parseSession(
	step Step, role string, c *types.Credentials, metadata middleware.Metadata,
) (session, error) {
	if c == nil || c.Expiration == nil ||
		aws.ToString(c.AccessKeyId) == "" || aws.ToString(c.SecretAccessKey) == "" {
		return session{}, in.newError(step, role, "the response of STS contains no credentials")
	}
	keys := aws.Credentials{
		AccessKeyID: *c.AccessKeyId, SecretAccessKey: *c.SecretAccessKey,
		SessionToken: aws.ToString(c.SessionToken),
	}
	ttl := c.Expiration.Sub(serverTime(metadata))
	return session{step: step, keys: keys, expires: true, ttl: ttl}, nil
}

// password requests a password. It is valid for all private registries in the region that the
// identity can access. The parameter registryIds is deprecated and has no effect
// (GetAuthorizationToken, API reference). The password is valid for twelve hours, even when the
// role session expires earlier.
func (in LoginInput) password(ctx context.Context, cfg aws.Config) (Credentials, error) {
	if in.Settings.Registry.Public {
		return in.publicPassword(ctx, cfg)
	}
	in.Debug("requesting a password from ECR in %s", cfg.Region)
	out, err := in.ecr(cfg).GetAuthorizationToken(ctx, &ecr.GetAuthorizationTokenInput{})
	if err != nil {
		return Credentials{}, in.requestError(StepPassword, "", err)
	}
	if len(out.AuthorizationData) == 0 {
		return Credentials{}, in.newError(StepPassword, "",
			"the response of ECR contains no password")
	}
	data := out.AuthorizationData[0]
	return in.parseAuthorizationToken(data.AuthorizationToken, data.ExpiresAt,
		serverTime(out.ResultMetadata))
}

// publicPassword requests the password of public.ecr.aws.
func (in LoginInput) publicPassword(ctx context.Context, cfg aws.Config) (Credentials, error) {
	in.Debug("requesting a password from ECR Public in %s", cfg.Region)
	out, err := in.ecrPublic(cfg).GetAuthorizationToken(ctx, &ecrpublic.GetAuthorizationTokenInput{})
	if err != nil {
		return Credentials{}, in.requestError(StepPassword, "", err)
	}
	if out.AuthorizationData == nil {
		return Credentials{}, in.newError(StepPassword, "",
			"the response of ECR Public contains no password")
	}
	data := out.AuthorizationData
	return in.parseAuthorizationToken(data.AuthorizationToken, data.ExpiresAt,
		serverTime(out.ResultMetadata))
}

// parseAuthorizationToken decodes an authorization token, which is base64 of "AWS:password". now is
// AWS's time.
func (in LoginInput) parseAuthorizationToken(
	encoded *string, expires *time.Time, now time.Time,
) (Credentials, error) {
	plain, err := base64.StdEncoding.DecodeString(aws.ToString(encoded))
	username, password, ok := strings.Cut(string(plain), ":")
	if err != nil || !ok || username == "" || password == "" || expires == nil {
		return Credentials{}, in.newError(StepPassword, "",
			"the response of ECR contains no password")
	}
	return Credentials{Username: username, Password: password, TTL: expires.Sub(now)}, nil
}

// serverTime returns AWS's time of a response, from its Date header. It returns the local time when
// the header is missing.
func serverTime(metadata middleware.Metadata) time.Time {
	if t, ok := awsmiddleware.GetServerTime(metadata); ok && !t.IsZero() {
		return t
	}
	return time.Now()
}
