// Package exchange turns an identity into an ECR password: token, role, next role, password. The AWS SDK is used only
// here.
package exchange

import (
	"context"
	"crypto/x509"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"

	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/config"
	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/token"
)

// Login is what a registry takes, and for how long. It prints redacted.
type Login struct {
	Username string
	Password string
	TTL      time.Duration // from now until AWS's expiry, by AWS's clock
	FreshFor time.Duration // from now until the role session behind it is over, or TTL for credentials that do not expire
}

func (l Login) String() string   { return fmt.Sprintf("login of %q for %v", l.Username, l.TTL) }
func (l Login) GoString() string { return l.String() }

// Request says who asks for which registry's password.
type Request struct {
	Plan   config.Plan
	Source token.Source
	Token  token.Token    // of an OIDC source
	Env    token.Env      // for the access keys of a keys-only source
	Roots  *x509.CertPool // nil: the system's
	Ahead  *Ahead         // connections that Open has begun for this Get; may be nil
	Debug  func(format string, args ...any)
	Done   func(Outcome) // told of each step that AWS let pass; may be nil

	secrets []string // of the sessions so far: AWS quotes them when it finds a signature wrong
}

// Get assumes the plan's roles, the first by web identity where the source is a token, and asks ECR for a password. It
// blocks for as long as ctx and passing faults allow. The error is an *Error, *NoCredentialsError or *SSOError, or
// says which setting is wrong.
func Get(ctx context.Context, r Request) (Login, error) {
	cfg, s, err := r.config(ctx)
	if err != nil {
		return Login{}, err
	}
	for i, role := range r.Plan.Roles {
		start := time.Now()
		r.secrets = append(r.secrets, s.keys.SecretAccessKey, s.keys.SessionToken)
		last := i == len(r.Plan.Roles)-1
		if i == 0 && r.Source.OIDC() {
			s, err = r.webIdentity(ctx, cfg, role, last)
		} else {
			s, err = r.link(ctx, cfg, role, last)
		}
		if err != nil {
			return Login{}, err
		}
		cfg.Credentials = credentials.StaticCredentialsProvider{Value: s.keys}
		r.done(Outcome{Step: s.step, Role: role, Life: s.life, Took: time.Since(start)})
	}
	r.secrets = append(r.secrets, s.keys.SecretAccessKey, s.keys.SessionToken)
	start := time.Now()
	login, err := r.password(ctx, cfg)
	login.FreshFor = login.TTL
	if s.expires {
		login.FreshFor = s.life
	}
	if r.Plan.Registry.Public {
		// There is reason to think that public.ecr.aws's password expires with the role session (kaniko#3199).
		login.TTL = min(login.TTL, login.FreshFor)
	}
	if err == nil {
		r.done(Outcome{Step: Password, Life: login.TTL, Took: time.Since(start)})
	}
	return login, err
}

// Outcome is what came of one step.
type Outcome struct {
	Step Step
	Role string        // that was assumed; "" for the password
	Life time.Duration // of the role session, or of the password
	Took time.Duration
}

func (r Request) done(o Outcome) {
	if r.Done != nil {
		r.Done(o)
	}
}

// session is a set of AWS credentials, and how long they last from now if they expire.
type session struct {
	step    Step // that gave them
	keys    aws.Credentials
	expires bool
	life    time.Duration
}

// config is the SDK's configuration for this request, and the credentials in it: by hand for a token or for keys
// alone, so that no file and no metadata service has a say, and by the SDK's own rules for an "aws" source.
func (r Request) config(ctx context.Context) (cfg aws.Config, s session, err error) {
	switch {
	case r.Source.OIDC():
		cfg, err = r.byHand(ctx)
		return cfg, s, err
	case r.Source.KeysOnly:
		if s.keys, err = r.keys(); err != nil {
			return cfg, s, err
		}
		cfg, err = r.byHand(ctx)
	default:
		cfg, s.keys, err = r.bySDK(ctx)
	}
	cfg.Credentials = credentials.StaticCredentialsProvider{Value: s.keys}
	if s.keys.CanExpire {
		s.expires, s.life = true, time.Until(s.keys.Expires)
	}
	return cfg, s, err
}
