// Package exchange turns an identity into an ECR password: token, role, next role, password. The AWS SDK is used only
// here.
package exchange

import (
	"context"
	"crypto/x509"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/config"
	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/token"
)

// Login is what a registry takes, and for how long. It prints redacted.
type Login struct {
	Username string
	Password string
	Life     time.Duration // from now until AWS lets it expire, by AWS's clock
}

func (l Login) String() string   { return fmt.Sprintf("login of %q for %v", l.Username, l.Life) }
func (l Login) GoString() string { return l.String() }

// Request says who asks for which registry's password.
type Request struct {
	Plan   config.Plan
	Source token.Source
	Token  token.Token    // of an OIDC source
	Env    token.Env      // for the access keys of a keys-only source
	Roots  *x509.CertPool // nil: the system's
	Debug  func(format string, args ...any)
}

// Get assumes the plan's roles, the first by web identity where the source is a token, and asks ECR for a password. It
// blocks for as long as ctx and passing faults allow. The error is an *Error, *NoCredentialsError or *SSOError, or
// says which setting is wrong.
func Get(ctx context.Context, r Request) (Login, error) {
	cfg, err := r.config(ctx)
	if err != nil {
		return Login{}, err
	}
	session := time.Duration(0)
	roles := r.Plan.Roles
	if r.Source.OIDC() {
		if cfg.Credentials, session, err = r.webIdentity(ctx, cfg, roles[0]); err != nil {
			return Login{}, err
		}
		roles = roles[1:]
	}
	for _, role := range roles {
		if cfg.Credentials, session, err = r.link(ctx, cfg, role); err != nil {
			return Login{}, err
		}
	}
	if r.Plan.Registry.Public {
		return r.publicPassword(ctx, cfg, session)
	}
	return r.password(ctx, cfg)
}

// config is the SDK's configuration for this request: by hand for a token or for keys alone, so that no file and no
// metadata service has a say, and by the SDK's own rules for an "aws" source.
func (r Request) config(ctx context.Context) (aws.Config, error) {
	switch {
	case r.Source.OIDC():
		return r.byHand(nil)
	case r.Source.KeysOnly:
		keys, err := r.keys()
		if err != nil {
			return aws.Config{}, err
		}
		return r.byHand(keys)
	}
	return r.bySDK(ctx)
}
