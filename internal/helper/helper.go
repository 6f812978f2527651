// Package helper implements Docker's credential helper protocol for ECR registries: get, store,
// erase and list.
package helper

import (
	"cmp"
	"context"
	"errors"
	"fmt"
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

// Helper implements the commands of the protocol in the environment of one process. Its methods may
// be called by several goroutines and processes at the same time.
type Helper struct {
	Env     token.Env
	Environ []string                         // the whole environment, as os.Environ returns it
	Debug   func(format string, args ...any) // receives one line per step, without secrets; not nil

	Tokens               *token.Shared // shares OIDC tokens between the logins of a process; nil shares none
	IgnoreCachedFailures bool          // log in even if the same login failed a moment ago
}

// Login is the login for a registry, and where it comes from. String and GoString leave the secret
// out.
type Login struct {
	Username, Secret string

	Roles   config.RoleChain
	Source  string    // a value of ECR_OIDC_SOURCE
	Subject string    // of the OIDC token; "" for AWS credentials, and for a stored login
	Expires time.Time // AWS's expiry, by the local clock
	Cached  bool      // it was in the cache
	Stored  bool      // another tool stored it; roles and source are not used
}

func (l Login) String() string { return fmt.Sprintf("login of %q until %v", l.Username, l.Expires) }

// GoString is String.
func (l Login) GoString() string { return l.String() }

// Get returns the login for a registry, from the cache or from AWS. A login that another tool stored
// takes precedence. If a request fails and the cache has no usable login, Get returns the error. It
// never tries another identity.
//
// For a host that is not ECR, Get calls the credential helper that creds_store names.
//
// In three cases, the client must continue without a login, and the error is the protocol's "not
// found" (credentials.IsErrCredentialsNotFound):
//
//   - The host is not ECR, and creds_store is not set.
//   - The registry's account is not in allowed_account_ids.
//   - The registry is public, no role is configured for it, and no login is stored.
//
// Get returns when ctx is done at the latest.
func (h Helper) Get(ctx context.Context, host string) (username, secret string, err error) {
	reg, ok := registry.Parse(host)
	if !ok {
		return h.delegateGet(ctx, host)
	}
	login, err := h.Login(ctx, reg)
	return login.Username, login.Secret, err
}

// Login is Get for an ECR registry. It also returns where the login comes from.
func (h Helper) Login(ctx context.Context, reg registry.Registry) (Login, error) {
	settings, err := h.settings(reg)
	if errors.Is(err, config.ErrNotAllowed) {
		h.Debug("registry %s: %v", reg.Host, err)
		return Login{}, credentials.NewErrCredentialsNotFound()
	}
	if err != nil {
		return Login{}, err
	}
	r, noIdentity, err := h.newRequest(settings)
	if err != nil {
		return Login{}, err
	}
	h.Debug("registry %s: account %q, region %s, partition %s", reg.Host, reg.Account, reg.Region,
		reg.Partition)
	h.Debug("source %s, decided by %q; roles %q from %q", r.Identity.Name, r.Identity.DetectedBy,
		r.Roles.ARNs, r.Roles.From)
	store := h.cacheFor(r)
	login := Login{Roles: r.Roles, Source: r.Identity.Name}
	if e, ok := h.storedLogin(store, settings); ok {
		login.Stored = true
		return login.with(e), nil
	}
	if reg.Public && len(r.Roles.ARNs) == 0 {
		return Login{}, credentials.NewErrCredentialsNotFound()
	}
	if noIdentity != nil {
		return Login{}, noIdentity
	}
	if end, ok := ctx.Deadline(); ok {
		var cancel func()
		ctx, cancel = context.WithDeadline(ctx, end.Add(-errorReserve))
		defer cancel()
	}
	start := time.Now()
	entry, failure := store.GetOrFetch(ctx, h.cacheKey(r),
		func(ctx context.Context) (cache.Entry, *cache.Failure) {
			c, err := exchange.Login(ctx, r)
			if err != nil {
				return cache.Entry{}, encodeError(err)
			}
			if c.NoCache {
				h.Debug("not caching: the profile's token file may have another job's token later")
				c.TTL = 0
			}
			return cache.Entry{
				Username: c.Username, Secret: c.Password, Subject: c.Subject,
				CreatedAt: time.Now(), TTL: c.TTL, FreshFor: c.FreshFor,
			}, nil
		})
	if failure != nil {
		return Login{}, decodeError(failure, r)
	}
	login.Cached = entry.CreatedAt.Before(start)
	return login.with(entry), nil
}

// with returns the login with the username, the password and the times of a cache entry.
func (l Login) with(e cache.Entry) Login {
	l.Username, l.Secret, l.Subject = e.Username, e.Secret, e.Subject
	l.Expires = e.CreatedAt.Add(e.TTL)
	return l
}

// settings reads the configuration and returns the settings for a registry.
func (h Helper) settings(reg registry.Registry) (config.Settings, error) {
	c, err := config.Read(h.Env, h.Environ)
	if err != nil {
		return config.Settings{}, err
	}
	return c.For(reg)
}

// newRequest decides the identity and returns the request for its login. err is a wrong setting.
//
// noIdentity is a *token.MissingError or *token.NoRoleError. It is separate from err because r is
// complete enough to open the cache, and a stored login needs no identity.
func (h Helper) newRequest(settings config.Settings) (r exchange.Request, noIdentity, err error) {
	identity, err := token.Identify(h.Env, settings.Identity)
	identity = h.Tokens.Share(identity)
	var (
		missing *token.MissingError
		noRole  *token.NoRoleError
	)
	if errors.As(err, &missing) || errors.As(err, &noRole) {
		noIdentity, err = err, nil
	}
	roles := settings.Role
	if identity.WebIdentityPair {
		roles = settings.WebIdentityRole
	}
	settings.SessionName = cmp.Or(settings.SessionName, identity.SessionName())
	r = exchange.Request{
		Settings: settings, Roles: roles, Identity: identity, Env: h.Env, Debug: h.Debug,
	}
	return r, noIdentity, cmp.Or(err, roles.Err)
}

// storedLogin returns the login that another tool stored for the registry. It takes precedence over
// the identity: the last login wins.
func (h Helper) storedLogin(store *cache.Cache, settings config.Settings) (cache.Entry, bool) {
	host := settings.Registry.Host
	e, ok := store.Get(loginKey(settings.Registry))
	if !ok {
		return cache.Entry{}, false
	}
	login := fmt.Sprintf("the login that another tool stored for %s %v ago", host,
		time.Since(e.CreatedAt).Round(time.Second))
	if !settings.StoredLogins {
		h.Debug("ignoring %s: ECR_OIDC_STORED_LOGINS is off", login)
		return cache.Entry{}, false
	}
	h.Debug("warning: returning %s; the role and the source are not used; to delete it: docker "+
		"logout %s; to ignore stored logins: ECR_OIDC_STORED_LOGINS=off", login, host)
	return e, true
}
