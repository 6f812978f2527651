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

// Helper serves the requests of one process in its environment.
type Helper struct {
	Env     token.Env
	Environ []string                         // the whole environment, as os.Environ returns it
	Debug   func(format string, args ...any) // receives one line per step, never with a secret
}

// Get returns the login for a registry, from the cache or from AWS. For a host that is not ECR it
// calls the helper that creds_store names. Without one, for the public registry without a role, and
// for an account that is not allowed, it returns docker-credential-helpers' "not found", and the
// client goes on without a login. For any other failure it returns the error, and tries no other
// identity. It blocks until ctx is done at the latest.
func (h Helper) Get(ctx context.Context, host string) (username, secret string, err error) {
	reg, ok := registry.Parse(host)
	if !ok {
		return h.foreign(ctx, host)
	}
	settings, err := h.settings(reg)
	if errors.Is(err, config.ErrNotAllowed) {
		h.Debug("registry %s: %v", reg.Host, err)
		return "", "", credentials.NewErrCredentialsNotFound()
	}
	if err != nil {
		return "", "", err
	}
	r, noIdentity, err := h.request(settings)
	if err != nil {
		return "", "", err
	}
	h.Debug("registry %s: account %q, region %s, partition %s", reg.Host, reg.Account, reg.Region,
		reg.Partition)
	h.Debug("source %s, decided by %q; roles %q from %q", r.Identity.Name, r.Identity.DetectedBy,
		r.Roles.ARNs, r.Roles.From)
	store := h.cache(r)
	if e, ok := h.stored(store, settings); ok {
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
				h.Debug("the profile's token file may hold another job's token the next time")
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

// settings reads what the user configured for a registry.
func (h Helper) settings(reg registry.Registry) (config.Settings, error) {
	c, err := config.Read(h.Env, h.Environ)
	if err != nil {
		return config.Settings{}, err
	}
	return c.For(reg)
}

// request decides the identity, and returns the request for its login with the roles that apply to
// it. noIdentity is *token.MissingError or *token.NoRoleError; a stored login can be found without
// an identity. err is a setting that is wrong.
func (h Helper) request(settings config.Settings) (r exchange.Request, noIdentity, err error) {
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
	r = exchange.Request{Settings: settings, Roles: roles, Identity: identity, Env: h.Env, Debug: h.Debug}
	return r, noIdentity, cmp.Or(err, roles.Err)
}

// stored returns the login that another tool stored for the registry, which goes before the
// identity's own: the last login wins.
func (h Helper) stored(store *cache.Cache, settings config.Settings) (cache.Entry, bool) {
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
