// Package exchange turns an identity into the login of a registry: OIDC token, roles, ECR password.
// It is the only package that uses the AWS SDK.
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

// Credentials are a registry's user name and password, and how long they are valid from now. String
// and GoString leave the password out.
type Credentials struct {
	Username string
	Password string
	TTL      time.Duration // until AWS's expiry, by AWS's clock
	FreshFor time.Duration // until the role session behind them ends; TTL when there is none
	Subject  string        // of the OIDC token; "" for AWS credentials
	NoCache  bool          // a process with the same settings may have another identity
}

func (c Credentials) String() string { return fmt.Sprintf("login of %q for %v", c.Username, c.TTL) }

// GoString is String.
func (c Credentials) GoString() string { return c.String() }

// Request is a login to request. OnToken and OnStep may be nil.
type Request struct {
	Settings config.Settings
	Roles    config.RoleChain // those of Settings that apply to the identity
	Identity token.Identity
	Env      token.Env
	Debug    func(format string, args ...any)
	OnToken  func(token.Token) // receives each OIDC token
	OnStep   func(Outcome)     // receives each step that succeeded

	token        token.Token
	roots        *x509.CertPool // nil: the system's
	preconnected *preconnection // nil: none
	secrets      []string       // of the sessions so far; AWS may quote them in an error
}

// Login requests the OIDC token, if the identity is one, assumes the roles, and requests the
// password. When STS reports that the token has expired, it requests one new token. It blocks until
// ctx is done at the latest. The error is one of this package's types or of token's, or names a
// setting that is wrong.
func Login(ctx context.Context, r Request) (Credentials, error) {
	var err error
	if r.roots, err = CABundle(r.Env); err != nil {
		return Credentials{}, err
	}
	if !r.Identity.OIDC() {
		return r.login(ctx)
	}
	ctx, cancel := context.WithCancel(ctx) // closes the connections that were opened and not used
	defer cancel()
	if r.preconnected, err = r.preconnect(ctx); err != nil {
		return Credentials{}, err
	}
	client := token.NewClient(r.roots)
	if r.token, err = r.Identity.Token(ctx, client, r.Settings.Audience); err != nil {
		return Credentials{}, err
	}
	r.observeToken()
	login, err := r.login(ctx)
	if err == nil || Code(err) != "ExpiredTokenException" || r.Identity.Source.Renew == nil {
		return login, err
	}
	r.Debug("STS reports that the token has expired; requesting a new one, once")
	renewed, renewErr := r.Identity.Renew(ctx, client, r.Settings.Audience)
	if renewErr != nil {
		r.Debug("there is no new one: %v", renewErr)
		return Credentials{}, err
	}
	r.token = renewed
	r.observeToken()
	return r.login(ctx)
}

func (r Request) observeToken() {
	c := r.token.Claims
	r.Debug("have a %v, issuer %q, audience %q, until %v", r.token, c.Issuer, c.Audience, c.Expires)
	if r.OnToken != nil {
		r.OnToken(r.token)
	}
}

// session is a set of AWS credentials.
type session struct {
	step    Step // that returned them
	keys    aws.Credentials
	expires bool
	ttl     time.Duration // from now; 0 when they do not expire
	noCache bool          // as in Credentials
}

// login assumes the roles and requests the password.
func (r Request) login(ctx context.Context) (Credentials, error) {
	var (
		cfg aws.Config
		s   session
		err error
	)
	if r.Identity.OIDC() { // preconnect has checked the endpoints
		cfg, err = r.environmentConfig(ctx)
	} else {
		cfg, s, err = r.awsCredentials(ctx)
	}
	if err != nil {
		return Credentials{}, err
	}
	noCache := s.noCache
	for i, role := range r.Roles.ARNs {
		start := time.Now()
		r.secrets = slices.Concat(r.secrets, []string{s.keys.SecretAccessKey, s.keys.SessionToken})
		policy := ""
		if i == len(r.Roles.ARNs)-1 { // the session that requests the password
			policy = r.Settings.SessionPolicy
		}
		if i == 0 && r.Identity.OIDC() {
			s, err = r.assumeRoleWithWebIdentity(ctx, cfg, role, policy)
		} else {
			s, err = r.assumeRole(ctx, cfg, role, policy)
		}
		if err != nil {
			return Credentials{}, err
		}
		cfg.Credentials = credentials.StaticCredentialsProvider{Value: s.keys}
		r.observe(Outcome{Step: s.step, Role: role, TTL: s.ttl, Duration: time.Since(start)})
	}
	r.secrets = slices.Concat(r.secrets, []string{s.keys.SecretAccessKey, s.keys.SessionToken})
	start := time.Now()
	login, err := r.password(ctx, cfg)
	if err != nil {
		return Credentials{}, err
	}
	login.FreshFor, login.NoCache, login.Subject = login.TTL, noCache, r.token.Claims.Subject
	if s.expires {
		login.FreshFor = s.ttl
	}
	if r.Settings.Registry.Public {
		// The password of public.ecr.aws probably expires with the role session (kaniko#3199).
		login.TTL = min(login.TTL, login.FreshFor)
	}
	r.observe(Outcome{Step: StepPassword, TTL: login.TTL, Duration: time.Since(start)})
	return login, nil
}

func (r Request) observe(o Outcome) {
	if r.OnStep != nil {
		r.OnStep(o)
	}
}

// assumeRoleWithWebIdentity assumes a role with the job's token. The request is not signed. STS
// verifies the token's signature, its audience and the role's trust policy. policy is the session
// policy; "" for none.
func (r Request) assumeRoleWithWebIdentity(
	ctx context.Context, cfg aws.Config, role, policy string,
) (session, error) {
	r.Debug("assuming %s by web identity in %s", role, cfg.Region)
	out, err := r.sts(cfg).AssumeRoleWithWebIdentity(ctx, &sts.AssumeRoleWithWebIdentityInput{
		RoleArn:          aws.String(role),
		RoleSessionName:  aws.String(r.Settings.SessionName),
		WebIdentityToken: aws.String(r.token.Raw),
		DurationSeconds:  seconds(r.Settings.SessionDuration),
		Policy:           optional(policy),
	})
	if err != nil {
		return session{}, r.refused(StepWebIdentity, role, err)
	}
	return r.session(StepWebIdentity, role, out.Credentials, out.ResultMetadata)
}

// assumeRole assumes a role with the credentials of the role before it, or with those of an "aws"
// source.
func (r Request) assumeRole(
	ctx context.Context, cfg aws.Config, role, policy string,
) (session, error) {
	r.Debug("assuming %s in %s", role, cfg.Region)
	out, err := r.sts(cfg).AssumeRole(ctx, &sts.AssumeRoleInput{
		RoleArn:         aws.String(role),
		RoleSessionName: aws.String(r.Settings.SessionName),
		DurationSeconds: seconds(r.Settings.SessionDuration),
		Policy:          optional(policy),
		ExternalId:      optional(r.Settings.ExternalID),
	})
	if err != nil {
		return session{}, r.refused(StepAssumeRole, role, err)
	}
	return r.session(StepAssumeRole, role, out.Credentials, out.ResultMetadata)
}

// session reads a role session from STS's response. Its TTL is by AWS's clock.
func (r Request) session(
	step Step, role string, c *types.Credentials, metadata middleware.Metadata,
) (session, error) {
	if c == nil || c.Expiration == nil ||
		aws.ToString(c.AccessKeyId) == "" || aws.ToString(c.SecretAccessKey) == "" {
		return session{}, r.failed(step, role, "STS's answer has no credentials in it")
	}
	keys := aws.Credentials{
		AccessKeyID: *c.AccessKeyId, SecretAccessKey: *c.SecretAccessKey,
		SessionToken: aws.ToString(c.SessionToken),
	}
	ttl := c.Expiration.Sub(serverTime(metadata))
	return session{step: step, keys: keys, expires: true, ttl: ttl}, nil
}

// password requests the password of every private registry in the region that the identity may use.
// registryIds, which once narrowed it, is deprecated and has no effect (GetAuthorizationToken, API
// reference). The password is valid for twelve hours, even when the role session ends earlier.
func (r Request) password(ctx context.Context, cfg aws.Config) (Credentials, error) {
	if r.Settings.Registry.Public {
		return r.publicPassword(ctx, cfg)
	}
	r.Debug("asking ECR in %s for a password", cfg.Region)
	out, err := r.ecr(cfg).GetAuthorizationToken(ctx, &ecr.GetAuthorizationTokenInput{})
	if err != nil {
		return Credentials{}, r.refused(StepPassword, "", err)
	}
	if len(out.AuthorizationData) == 0 {
		return Credentials{}, r.failed(StepPassword, "", "ECR's answer has no password in it")
	}
	data := out.AuthorizationData[0]
	return r.credentials(data.AuthorizationToken, data.ExpiresAt, serverTime(out.ResultMetadata))
}

// publicPassword requests the password of public.ecr.aws.
func (r Request) publicPassword(ctx context.Context, cfg aws.Config) (Credentials, error) {
	r.Debug("asking ECR Public in %s for a password", cfg.Region)
	out, err := r.ecrPublic(cfg).GetAuthorizationToken(ctx, &ecrpublic.GetAuthorizationTokenInput{})
	if err != nil {
		return Credentials{}, r.refused(StepPassword, "", err)
	}
	if out.AuthorizationData == nil {
		return Credentials{}, r.failed(StepPassword, "", "ECR Public's answer has no password in it")
	}
	data := out.AuthorizationData
	return r.credentials(data.AuthorizationToken, data.ExpiresAt, serverTime(out.ResultMetadata))
}

// credentials reads an authorization token: base64 of "AWS:password".
func (r Request) credentials(
	encoded *string, expires *time.Time, now time.Time,
) (Credentials, error) {
	plain, err := base64.StdEncoding.DecodeString(aws.ToString(encoded))
	username, password, ok := strings.Cut(string(plain), ":")
	if err != nil || !ok || username == "" || password == "" || expires == nil {
		return Credentials{}, r.failed(StepPassword, "", "ECR's answer has no password in it")
	}
	return Credentials{Username: username, Password: password, TTL: expires.Sub(now)}, nil
}

// serverTime returns AWS's own time of a response, from its Date header, or the local time without
// one.
func serverTime(metadata middleware.Metadata) time.Time {
	if t, ok := awsmiddleware.GetServerTime(metadata); ok && !t.IsZero() {
		return t
	}
	return time.Now()
}

// seconds returns a duration in seconds; nil for 0, so that the parameter is not sent.
func seconds(d time.Duration) *int32 {
	return optional(int32(d / time.Second)) // #nosec G115 -- at most 12 hours
}

// optional returns nil for a zero value, so that the parameter is not sent.
func optional[T comparable](value T) *T {
	var zero T
	if value == zero {
		return nil
	}
	return &value
}
