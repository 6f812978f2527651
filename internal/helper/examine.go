package helper

import (
	"context"
	"errors"
	"time"

	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/cache"
	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/config"
	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/exchange"
	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/registry"
	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/token"
)

// Examination describes what a get for a registry would do, and with which inputs. If a step fails,
// the fields of later steps are zero.
type Examination struct {
	Registry  registry.Registry
	Settings  config.Settings
	Roles     config.RoleChain // the roles that apply to the identity
	Identity  token.Identity
	Resolved  bool               // Settings, Roles and Identity are set
	STS, ECR  string             // the endpoint URLs
	Token     token.Token        // zero for AWS credentials
	Steps     []exchange.Outcome // the steps that succeeded
	ClockSkew time.Duration      // local clock minus the token's issue time; 0: unknown
	Err       error              // the error of the get; nil if it would return a login

	Anonymous bool   // the get returns "not found", and the client continues without a login
	CacheDir  string // "" if there is no cache; CacheErr is the reason then
	CacheErr  error

	Cached       *cache.Entry // the entry for this request, which may have expired; nil: none
	StoredLogin  *cache.Entry // another tool's login, which get returns first; nil: none
	IgnoredLogin *cache.Entry // like StoredLogin, with ECR_OIDC_STORED_LOGINS=off; nil: none

	CachedErr      error     // the cached failure that get returns without a request; nil: none
	CachedErrUntil time.Time // expiry of CachedErr
}

// Examine does what Get does before its first request. It reads the settings, decides the identity,
// and reads the cache. It makes no request and changes no file.
func (h Helper) Examine(ctx context.Context, reg registry.Registry) (x Examination) {
	x.Registry = reg
	if x.Settings, x.Err = h.settings(reg); x.Err != nil {
		x.Anonymous = errors.Is(x.Err, config.ErrNotAllowed)
		return x
	}
	r, noIdentity, err := h.newRequest(x.Settings)
	if x.Err = err; err != nil {
		return x
	}
	x.Settings, x.Identity, x.Roles, x.Resolved = r.Settings, r.Identity, r.Roles, true
	store := h.readCache(&x)
	if reg.Public && len(x.Roles.ARNs) == 0 {
		x.Anonymous = x.StoredLogin == nil
		return x
	}
	if x.Err = noIdentity; x.Err != nil {
		return x
	}
	fresh := x.Cached != nil && x.Cached.IsFresh(time.Now())
	if f, remaining, ok := store.CachedFailure(h.cacheKey(r)); ok && !fresh {
		x.CachedErr, x.CachedErrUntil = decodeError(&f, r), time.Now().Add(remaining)
	}
	x.STS, x.ECR, x.Err = exchange.Endpoints(ctx, r)
	return x
}

// Done reports whether the get ends without a request: it returns a stored login, fails, or returns
// "not found".
func (x Examination) Done() bool { return x.Err != nil || x.Anonymous || x.ECR == "" }

// Request makes the requests of Get, even if the cache has a login. It stores nothing in the cache. It
// blocks for at most cache.FetchTimeout. It must not be called if x.Done returns true.
func (h Helper) Request(ctx context.Context, x Examination) Examination {
	ctx, cancel := context.WithTimeout(ctx, cache.FetchTimeout)
	defer cancel()
	r := exchange.Request{
		Settings: x.Settings, Roles: x.Roles, Identity: x.Identity, Env: h.Env, Debug: h.Debug,
	}
	r.OnToken = func(t token.Token) {
		x.Token = t
		if !t.Claims.Issued.IsZero() && x.Identity.Source.OnDemand {
			x.ClockSkew = time.Since(t.Claims.Issued)
		}
	}
	r.OnStep = func(o exchange.Outcome) { x.Steps = append(x.Steps, o) }
	_, x.Err = exchange.Login(ctx, r)
	return x
}

// readCache sets the fields of x that describe the cache. It returns the cache, or nil if there is
// none, and creates nothing.
func (h Helper) readCache(x *Examination) *cache.Cache {
	r := exchange.Request{Settings: x.Settings, Roles: x.Roles, Identity: x.Identity}
	store, err := h.openCache(r, cache.OpenExisting)
	if err != nil {
		x.CacheErr = err
		return nil
	}
	x.CacheDir = store.Dir()
	if e, ok := store.Read(h.cacheKey(r)); ok {
		x.Cached = &e
	}
	if e, ok := store.Get(loginKey(x.Registry)); ok {
		if x.Settings.StoredLogins {
			x.StoredLogin = &e
		} else {
			x.IgnoredLogin = &e
		}
	}
	return store
}
