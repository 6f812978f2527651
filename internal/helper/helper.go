// Package helper answers Docker: get, store, erase and list for ECR registries.
package helper

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"os"
	"time"

	"github.com/docker/docker-credential-helpers/credentials"

	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/cache"
	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/config"
	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/exchange"
	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/registry"
	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/token"
)

// filling is how long a get may spend on earning a password, the wait for another process not counted. BuildKit asks
// for one host after another, and gives up on all of them after 60 seconds (moby/buildkit session/auth/auth.go).
const filling = 20 * time.Second

// saying is what is left of a get's time to say why there was none.
const saying = time.Second

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
	if e, ok := store.Get(keptLogin(reg)); ok { // of another tool, by docker login: the last login wins
		login := fmt.Sprintf("the login that another tool stored for %s %v ago", reg.Host, time.Since(e.Made).Round(time.Second))
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
		ctx, cancel = context.WithDeadline(ctx, end.Add(-saying))
		defer cancel()
	}
	e, failure := store.Do(ctx, h.question(plan, source), func(ctx context.Context) (cache.Entry, *cache.Failure) {
		cutShort := short(ctx)
		e, err := h.fill(ctx, plan, source, store)
		failure := noted(err)
		switch {
		case failure == nil:
		case cutShort && failure.For == passingFor:
			failure.For = -1
		case plan.Place.Name == "file" && !plan.Place.CI:
			failure.For = 0 // the file is another one soon, and other pods may share the cache
		}
		return e, failure
	})
	if failure != nil {
		return "", "", told(failure, plan)
	}
	return e.Username, e.Secret, nil
}

// short says whether there is less time than a fill may take, because others were waited for. What fails for want of time
// then is told to nobody else, who may have more.
func short(ctx context.Context) bool {
	end, ok := ctx.Deadline()
	return ok && time.Until(end) < filling-saying
}

// plan reads what the user has set for a registry.
func (h Helper) plan(reg registry.Registry) (config.Plan, error) {
	c, err := config.Read(h.Env, h.Environ)
	if err != nil {
		return config.Plan{}, err
	}
	return c.For(reg)
}

// fill earns a password: token, role, password. With a store, a token that another process of this job was given a
// moment ago will do.
func (h Helper) fill(ctx context.Context, plan config.Plan, source token.Source, store *cache.Cache) (cache.Entry, error) {
	ctx, cancel := context.WithTimeout(ctx, filling)
	defer cancel()
	roots, err := caBundle(h.Env)
	if err != nil {
		return cache.Entry{}, err
	}
	r := exchange.Request{Plan: plan, Source: source, Env: h.Env, Roots: roots, Debug: h.Debug, Done: h.step}
	if source.OIDC() {
		client := token.Client(roots)
		if r.Ahead, err = exchange.Open(ctx, r); err != nil { // while the token is fetched
			return cache.Entry{}, err
		}
		if r.Token, err = h.jobToken(ctx, plan, source, store, client); err != nil {
			return cache.Entry{}, err
		}
		h.observe(r.Token)
		h.Debug("have a %v, issuer %q, audience %q, until %v", r.Token, r.Token.Claims.Issuer, r.Token.Claims.Audience, r.Token.Claims.Expires)
		login, refused := exchange.Get(ctx, r)
		if exchange.Code(refused) != "ExpiredTokenException" || !source.Renewable() {
			return entry(login), refused
		}
		h.Debug("STS calls the token expired; getting a new one, once")
		if err := store.Remove(h.tokenQuestion(plan, source)); err != nil {
			h.Debug("%v", err)
		}
		if r.Token, err = source.Renew(ctx, client, plan.Audience); err != nil {
			h.Debug("there is no new one: %v", err)
			return cache.Entry{}, refused
		}
		h.observe(r.Token)
	}
	login, err := exchange.Get(ctx, r)
	return entry(login), err
}

// tokenSpare is for how long a token that is kept must be good yet when it is used.
const tokenSpare = time.Minute

// jobToken gets the job's token. One that the CI makes when it is asked is kept, sealed, for as long as it lives (GitHub:
// five minutes), so that a job asks once for its several regions, accounts and roles. Who can open it has what the CI
// gives such tokens for.
func (h Helper) jobToken(ctx context.Context, plan config.Plan, source token.Source, store *cache.Cache, client *http.Client) (token.Token, error) {
	if store == nil || !source.Asked() {
		return source.Token(ctx, client, plan.Audience)
	}
	e, failure := store.Do(ctx, h.tokenQuestion(plan, source), func(ctx context.Context) (cache.Entry, *cache.Failure) {
		cutShort := short(ctx)
		t, err := source.Token(ctx, client, plan.Audience)
		failure := noted(err)
		switch {
		case failure == nil:
		case cutShort && failure.For == passingFor:
			failure.For = -1
		default:
			failure.For = 0 // who comes later is answered with the failure of the question that needed it
		}
		return cache.Entry{Secret: t.Raw, Made: time.Now(), Life: life(t), Spare: tokenSpare}, failure
	})
	if failure != nil {
		return token.Token{}, told(failure, plan)
	}
	return token.Parse(e.Secret)
}

// life is how long a token lasts that was made a moment ago, whatever the clock here says; 0 where it does not say.
func life(t token.Token) time.Duration {
	if t.Claims.Issued.IsZero() || t.Claims.Expires.IsZero() {
		return 0
	}
	return t.Claims.Expires.Sub(t.Claims.Issued)
}

// observe tells Examine of a token.
func (h Helper) observe(t token.Token) {
	if h.token != nil {
		h.token(t)
	}
}

func entry(l exchange.Login) cache.Entry {
	return cache.Entry{Username: l.Username, Secret: l.Password, Made: time.Now(), Life: l.Life, Refresh: l.Session}
}

// caBundle reads AWS_CA_BUNDLE, which replaces the system's roots, as it does for the SDK; nil when it is unset. The
// CI's token endpoint is asked with it too: where a proxy needs it for AWS it needs it for that.
func caBundle(env token.Env) (*x509.CertPool, error) {
	path := env.Get("AWS_CA_BUNDLE")
	if path == "" {
		return nil, nil
	}
	pem, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("reading AWS_CA_BUNDLE: %w", err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(pem) {
		return nil, errors.New("reading AWS_CA_BUNDLE: there is no certificate in " + path)
	}
	return roots, nil
}
