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

// Examination is what a get for a registry decides and finds, step by step. What comes after the
// step that failed is zero.
type Examination struct {
	Registry  registry.Registry
	Settings  config.Settings
	Roles     config.RoleChain // those that apply to the identity
	Identity  token.Identity
	Resolved  bool               // settings, roles and identity could be read
	STS, ECR  string             // the URLs to request
	Token     token.Token        // of an OIDC identity
	Steps     []exchange.Outcome // what AWS let pass
	ClockSkew time.Duration      // how far this machine's clock is ahead of the token's; 0 when that is unknown
	Err       error              // the error of the get; nil when it would return a login

	Anonymous    bool   // the get returns "not found", and the client goes on without a login
	CacheDir     string // where entries are; "" when there are none, and CacheErr has the reason
	CacheErr     error
	Cached       *cache.Entry // the entry for this request, also one that has expired
	StoredLogin  *cache.Entry // another tool's login, which get returns before all else
	IgnoredLogin *cache.Entry // another tool's login, which get ignores because ECR_OIDC_STORED_LOGINS is off

	CachedErr      error     // the cached failure that get returns without a request; nil when there is none
	CachedErrUntil time.Time // and until when it does
}

// Examine does what Get does before it makes a request: it reads the settings, decides the
// identity, and looks into the cache. It changes nothing.
func (h Helper) Examine(ctx context.Context, reg registry.Registry) (x Examination) {
	x.Registry = reg
	if x.Settings, x.Err = h.settings(reg); x.Err != nil {
		x.Anonymous = errors.Is(x.Err, config.ErrNotAllowed)
		return x
	}
	r, noIdentity, err := h.request(x.Settings)
	if x.Err = err; err != nil {
		return x
	}
	x.Settings, x.Identity, x.Roles, x.Resolved = r.Settings, r.Identity, r.Roles, true
	store := h.lookUp(&x)
	if reg.Public && len(x.Roles.ARNs) == 0 {
		x.Anonymous = x.StoredLogin == nil
		return x
	}
	if x.Err = noIdentity; x.Err != nil {
		return x
	}
	fresh := x.Cached != nil && x.Cached.IsFresh(time.Now())
	if f, left, ok := store.CachedFailure(h.cacheKey(r)); ok && !fresh {
		x.CachedErr, x.CachedErrUntil = decodeError(&f, r), time.Now().Add(left)
	}
	x.STS, x.ECR, x.Err = exchange.Endpoints(ctx, r)
	return x
}

// Done reports whether no request is needed: the get returns a login already, or cannot succeed.
func (x Examination) Done() bool { return x.Err != nil || x.Anonymous || x.ECR == "" }

// Request does the rest of what Get does, whatever is in the cache, and stores nothing. It blocks
// as long as a fetch of Get. It must not be called when x is Done.
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

// lookUp finds what is in the cache, without creating it, and returns the cache.
func (h Helper) lookUp(x *Examination) *cache.Cache {
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
