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
}

// Get returns the login for a registry, from the cache or from AWS. A login that another tool stored
// takes precedence. If a request fails, Get returns the error. It never tries another identity.
//
// For a host that is not ECR, Get calls the credential helper that creds_store names.
//
// In three cases, the client must continue without a login, and the error is
// credentials.NewErrCredentialsNotFound: the host is not ECR and there is no creds_store, the
// registry's account is not in allowed_account_ids, or the registry is public and no role is
// configured for it.
//
// Get blocks until ctx is done at the latest.
func (h Helper) Get(ctx context.Context, host string) (username, secret string, err error) {
	reg, ok := registry.Parse(host)
	if !ok {
		return h.delegateGet(ctx, host)
	}
	settings, err := h.settings(reg)
	if errors.Is(err, config.ErrNotAllowed) {
		h.Debug("registry %s: %v", reg.Host, err)
		return "", "", credentials.NewErrCredentialsNotFound()
	}
	if err != nil {
		return "", "", err
	}
	r, noIdentity, err := h.newRequest(settings)
	if err != nil {
		return "", "", err
	}
	h.Debug("registry %s: account %q, region %s, partition %s", reg.Host, reg.Account, reg.Region,
		reg.Partition)
	h.Debug("source %s, decided by %q; roles %q from %q", r.Identity.Name, r.Identity.DetectedBy,
		r.Roles.ARNs, r.Roles.From)
	store := h.cacheFor(r)
	if e, ok := h.storedLogin(store, settings); ok {
		return e.Username, e.Secret, nil
	}
	if reg.Public && len(r.Roles.ARNs) == 0 {
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
	login, failure := store.GetOrFetch(ctx, h.cacheKey(r),
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
				Username: c.Username, Secret: c.Password,
				CreatedAt: time.Now(), TTL: c.TTL, FreshFor: c.FreshFor,
			}, nil
		})
	if failure != nil {
		return "", "", decodeError(failure, r)
	}
	return login.Username, login.Secret, nil
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
