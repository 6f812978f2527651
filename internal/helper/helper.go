// Package helper answers Docker: get, store, erase and list for ECR registries.
package helper

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/docker/docker-credential-helpers/credentials"

	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/cache"
	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/config"
	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/exchange"
	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/registry"
	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/token"
)

// errorReserve is kept free at the end of a get so that the error can still be reported.
const errorReserve = time.Second

// maxCABundle is the most that is read of AWS_CA_BUNDLE, in bytes. A system's bundle has about 250 KiB.
const maxCABundle = 16 << 20

// Helper answers for one process and its environment.
type Helper struct {
	Env     token.Env
	Environ []string                         // all of the environment, as os.Environ has it
	Debug   func(format string, args ...any) // one line per step, never a secret

	token func(token.Token)      // told of the token, for Examine; may be nil
	step  func(exchange.Outcome) // told of each step that AWS let pass; may be nil
}

// Get returns the login for a registry, from the cache or from AWS. A host that is not ECR goes to the helper that the
// file's creds_store names. Without one, and for the public registry when no role is set for it, or an account that is
// not allowed, the answer is docker-credential-helpers' "not found": the client goes on without a login. Every other
// failure is said, and no other identity is tried.
func (h Helper) Get(ctx context.Context, host string) (username, secret string, err error) {
	reg, ok := registry.Parse(host)
	if !ok {
		return h.foreign(ctx, host)
	}
	plan, err := h.plan(reg)
	if errors.Is(err, config.ErrNotAllowed) {
		h.Debug("registry %s: %v", reg.Host, err)
		return "", "", credentials.NewErrCredentialsNotFound()
	}
	if err != nil {
		return "", "", err
	}
	source, noIdentity := token.Identify(h.Env, plan.Place, plan.Choice, len(plan.Roles) > 0)
	h.Debug("registry %s: account %q, region %s, partition %s", reg.Host, reg.Account, reg.Region, reg.Partition)
	h.Debug("source %s, decided by %q; roles %q from %q", source.Name, plan.Place.By, plan.Roles, plan.RolesFrom)
	store := h.cache(plan, source)
	if e, ok := store.Get(loginKey(reg)); ok { // of another tool, by docker login: the last login wins
		login := fmt.Sprintf("the login that another tool stored for %s %v ago", reg.Host, time.Since(e.CreatedAt).Round(time.Second))
		if plan.StoredLogins {
			h.Debug("warning: returning %s; the role and the source are not used; to delete it: docker logout %s; "+
				"to ignore stored logins: ECR_OIDC_STORED_LOGINS=off", login, reg.Host)
			return e.Username, e.Secret, nil
		}
		h.Debug("ignoring %s: ECR_OIDC_STORED_LOGINS is off", login)
	}
	if reg.Public && len(plan.Roles) == 0 {
		return "", "", credentials.NewErrCredentialsNotFound()
	}
	if noIdentity != nil {
		return "", "", noIdentity
	}
	if end, ok := ctx.Deadline(); ok {
		var cancel func()
		ctx, cancel = context.WithDeadline(ctx, end.Add(-errorReserve))
		defer cancel()
	}
	e, failure := store.GetOrFetch(ctx, h.cacheKey(plan, source), func(ctx context.Context) (cache.Entry, *cache.Failure) {
		login, err := h.fetch(ctx, plan, source)
		return entry(login), encodeError(err)
	})
	if failure != nil {
		return "", "", decodeError(failure, plan)
	}
	return e.Username, e.Secret, nil
}

// plan reads what the user has set for a registry.
func (h Helper) plan(reg registry.Registry) (config.Plan, error) {
	c, err := config.Read(h.Env, h.Environ)
	if err != nil {
		return config.Plan{}, err
	}
	return c.For(reg)
}

// fetch requests a login: OIDC token, roles, password. It blocks until ctx is done at the latest.
func (h Helper) fetch(ctx context.Context, plan config.Plan, source token.Source) (exchange.Login, error) {
	roots, err := caBundle(h.Env)
	if err != nil {
		return exchange.Login{}, err
	}
	r := exchange.Request{Plan: plan, Source: source, Env: h.Env, Roots: roots, Debug: h.Debug, Done: h.step}
	if !source.OIDC() {
		return exchange.Get(ctx, r)
	}
	ctx, cancel := context.WithCancel(ctx) // which closes the connections that were opened and not used
	defer cancel()
	client := token.Client(roots)
	if r.Ahead, err = exchange.Open(ctx, r); err != nil { // while the token is requested
		return exchange.Login{}, err
	}
	if r.Token, err = source.Token(ctx, client, plan.Audience); err != nil {
		return exchange.Login{}, err
	}
	h.observe(r.Token)
	h.Debug("have a %v, issuer %q, audience %q, until %v", r.Token, r.Token.Claims.Issuer, r.Token.Claims.Audience, r.Token.Claims.Expires)
	login, refused := exchange.Get(ctx, r)
	if exchange.Code(refused) != "ExpiredTokenException" || !source.Renewable() {
		return login, refused
	}
	h.Debug("STS calls the token expired; getting a new one, once")
	if r.Token, err = source.Renew(ctx, client, plan.Audience); err != nil {
		h.Debug("there is no new one: %v", err)
		return exchange.Login{}, refused
	}
	h.observe(r.Token)
	return exchange.Get(ctx, r)
}

// observe tells Examine of a token.
func (h Helper) observe(t token.Token) {
	if h.token != nil {
		h.token(t)
	}
}

func entry(l exchange.Login) cache.Entry {
	return cache.Entry{Username: l.Username, Secret: l.Password, CreatedAt: time.Now(), TTL: l.TTL, FreshFor: l.FreshFor}
}

// caBundle reads AWS_CA_BUNDLE, which replaces the system's roots, as it does for the SDK; nil when it is unset. The
// CI's token endpoint is asked with it too: where a proxy needs it for AWS it needs it for that.
func caBundle(env token.Env) (*x509.CertPool, error) {
	path := env.Get("AWS_CA_BUNDLE")
	if path == "" {
		return nil, nil
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("reading AWS_CA_BUNDLE: %w", err)
	}
	defer f.Close()
	pem, err := io.ReadAll(io.LimitReader(f, maxCABundle+1))
	if err != nil {
		return nil, fmt.Errorf("reading AWS_CA_BUNDLE: %w", err)
	}
	if len(pem) > maxCABundle {
		return nil, fmt.Errorf("reading AWS_CA_BUNDLE: it is larger than %d MiB", maxCABundle>>20)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(pem) {
		return nil, errors.New("reading AWS_CA_BUNDLE: there is no certificate in " + path)
	}
	return roots, nil
}
