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

	// Err is the error of the first step that failed, config.ErrNotAllowed included. It is nil if
	// none failed. CachedErr is separate.
	Err error

	NotFound bool   // the get returns "not found", and the client continues without a login
	CacheDir string // "" if there is no cache; CacheErr is the reason then
	CacheErr error

	Cached       *cache.Entry // the cached login, which may have expired; nil: none
	StoredLogin  *cache.Entry // another tool's login, which get returns first; nil: none
	IgnoredLogin *cache.Entry // like StoredLogin, with ECR_OIDC_STORED_LOGINS=off; nil: none

	CachedErr      error     // the cached failure that get returns without a request; nil: none
	CachedErrUntil time.Time // expiry of CachedErr
}

// Profile returns the AWS profile that the SDK's default chain tries first, and the variable or line
// that names it; from is "" for the default profile. Both are "" if the identity is an OIDC token or
// access keys in the environment. Profile does not check that the profile exists.
func (x Examination) Profile(env token.Env) (name, from string) {
	if !x.Resolved || x.Identity.OIDC() || x.Identity.KeysOnly {
		return "", ""
	}
	if profile := x.Settings.Identity.Profile; profile != "" {
		return profile, x.Settings.Identity.ProfileFrom
	}
	if id, secret := env.AccessKey(); id != "" && secret != "" {
		return "", ""
	}
	for _, variable := range []string{"AWS_PROFILE", "AWS_DEFAULT_PROFILE"} {
		if profile := env.Get(variable); profile != "" {
			return profile, variable
		}
	}
	return "default", ""
}

// Examine does what Get does before its first request. It reads the settings, decides the identity,
// and reads the cache. It makes no request and changes no file.
func (h Helper) Examine(ctx context.Context, reg registry.Registry) (x Examination) {
	x.Registry = reg
	if x.Settings, x.Err = h.settings(reg); x.Err != nil {
		x.NotFound = errors.Is(x.Err, config.ErrNotAllowed)
		return x
	}
	in, identityErr, err := h.newLoginInput(x.Settings)
	if x.Err = err; err != nil {
		return x
	}
	x.Settings, x.Identity, x.Roles, x.Resolved = in.Settings, in.Identity, in.Roles, true
	entries := h.readCache(&x)
	if reg.Public && len(x.Roles.ARNs) == 0 {
		x.NotFound = x.StoredLogin == nil
		return x
	}
	if x.Err = identityErr; x.Err != nil {
		return x
	}
	fresh := x.Cached != nil && x.Cached.IsFresh(time.Now())
	if f, remaining, ok := entries.CachedFailure(h.cacheKey(in)); ok && !fresh {
		x.CachedErr, x.CachedErrUntil = decodeError(&f, in), time.Now().Add(remaining)
	}
	x.STS, x.ECR, x.Err = exchange.Endpoints(ctx, in)
	return x
}

// NoRequest reports whether a get would make no request even without cached logins and failures: it
// fails before its first request, it returns "not found", or it can only return a stored login (the
// public registry without a role). LoginWithoutCache must not be called then.
func (x Examination) NoRequest() bool {
	// Examine sets ECR unless the get can only return a stored login.
	return x.Err != nil || x.NotFound || x.ECR == ""
}

// LoginWithoutCache makes the requests of Get, even if the cache has a login. It stores nothing in
// the cache. It blocks for at most cache.FetchTimeout. It returns x with the results. It must not be
// called if x.NoRequest returns true.
func (h Helper) LoginWithoutCache(ctx context.Context, x Examination) Examination {
	ctx, cancel := context.WithTimeout(ctx, cache.FetchTimeout)
	defer cancel()
	in := exchange.LoginInput{
		Settings: x.Settings, Roles: x.Roles, Identity: x.Identity, Env: h.Env, Debug: h.Debug,
	}
	in.OnToken = func(t token.Token) {
		x.Token = t
		if !t.Claims.Issued.IsZero() && x.Identity.TokenSource.OnDemand {
			x.ClockSkew = time.Since(t.Claims.Issued)
		}
	}
	in.OnStep = func(o exchange.Outcome) { x.Steps = append(x.Steps, o) }
	_, x.Err = exchange.Login(ctx, in)
	return x
}

// readCache sets the fields of x that describe the cache. It returns the cache, or nil if there is
// none, and creates nothing.
func (h Helper) readCache(x *Examination) *cache.Cache {
	in := exchange.LoginInput{Settings: x.Settings, Roles: x.Roles, Identity: x.Identity}
	entries, err := h.openCache(in, cache.OpenExisting)
	if err != nil {
		x.CacheErr = err
		return nil
	}
	x.CacheDir = entries.Dir()
	if e, ok := entries.Read(h.cacheKey(in)); ok {
		x.Cached = &e
	}
	if e, ok := entries.Get(storedLoginKey(x.Registry)); ok {
		if x.Settings.StoredLogins {
			x.StoredLogin = &e
		} else {
			x.IgnoredLogin = &e
		}
	}
	return entries
}
