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
	Environ []string // the whole environment, as os.Environ returns it

	// Debug receives one line per step, without secrets. It is not nil.
	Debug func(format string, args ...any)

	// Tokens shares OIDC tokens between the logins of this process. nil shares none.
	Tokens *token.Shared

	// IgnoreCachedFailures makes Login request a login even if the cache has a failure. Failures of
	// concurrent logins still count.
	IgnoreCachedFailures bool
}

// Login is the login for a registry, and where it comes from. String and GoString omit the secret.
type Login struct {
	Username, Secret string

	Roles   config.RoleChain
	Source  string    // a value of ECR_OIDC_SOURCE
	Subject string    // of the OIDC token; "" for AWS credentials and for a stored login
	Expires time.Time // AWS's expiry, by the local clock
	Cached  bool      // it was in the cache
	Stored  bool      // another tool stored it; roles and source are not used
}

func (l Login) String() string { return fmt.Sprintf("login of %q until %v", l.Username, l.Expires) }

// GoString is String.
func (l Login) GoString() string { return l.String() }

// Get returns the login for a registry, from the cache or from AWS. A login that another tool
// stored takes precedence. If a request fails, Get returns the cached login while it is usable,
// unless AWS refused the identity. Otherwise Get returns the error. It never tries another identity.
//
// For a host that is not ECR, Get calls the credential helper that creds_store names.
//
// In these cases, the client must continue without a login, and the error is the protocol's "not
// found" (credentials.IsErrCredentialsNotFound):
//
//   - The host is not ECR, and creds_store is not set or its helper has no login.
//   - The registry's account is not in allowed_account_ids.
//   - The registry is public, no role is configured for it, and no login is stored.
//
// The requests of Get end when ctx is done. A system call that blocks does not
// (explain.RunWithTimeout).
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
	in, identityErr, err := h.newLoginInput(settings)
	if err != nil {
		return Login{}, err
	}
	h.Debug("registry %s: account %q, region %s, partition %s",
		reg.Host, reg.Account, reg.Region, reg.Partition)
	h.Debug("source %s, selected by %q; roles %q from %q",
		in.Identity.Name, in.Identity.SelectedBy, in.Roles.ARNs, in.Roles.From)
	entries := h.cacheFor(in)
	login := Login{Roles: in.Roles, Source: in.Identity.Name}
	if e, ok := h.storedLogin(entries, settings); ok {
		login.Stored = true
		return login.withEntry(e), nil
	}
	if reg.Public && len(in.Roles.ARNs) == 0 {
		return Login{}, credentials.NewErrCredentialsNotFound()
	}
	if identityErr != nil {
		return Login{}, identityErr
	}
	if end, ok := ctx.Deadline(); ok {
		var cancel func()
		ctx, cancel = context.WithDeadline(ctx, end.Add(-errorReserve))
		defer cancel()
	}
	start := time.Now()
	entry, failure := entries.GetOrFetch(ctx, h.cacheKey(in),
		func(ctx context.Context) (cache.Entry, *cache.Failure) {
			c, err := exchange.Login(ctx, in)
			if err != nil {
				return cache.Entry{}, encodeError(err)
			}
			login.Expires = time.Now().Add(c.TTL)
			if c.NoCache {
				h.Debug("not caching: the cache key does not depend on the token in the profile's " +
					"token file")
				c.TTL = 0 // GetOrFetch does not store it
			}
			return cache.Entry{
				Username: c.Username, Secret: c.Password, Subject: c.Subject,
				CreatedAt: time.Now(), TTL: c.TTL, FreshFor: c.FreshFor,
			}, nil
		})
	if failure != nil {
		return Login{}, decodeError(failure, in)
	}
	login.Cached = entry.CreatedAt.Before(start)
	return login.withEntry(entry), nil
}

// withEntry returns l with the username, the password and the subject of a cache entry. It also sets
// Expires from the entry if Expires is zero.
func (l Login) withEntry(e cache.Entry) Login {
	l.Username, l.Secret, l.Subject = e.Username, e.Secret, e.Subject
	if l.Expires.IsZero() {
		l.Expires = e.CreatedAt.Add(e.TTL)
	}
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

// newLoginInput decides the identity and returns the input of exchange.Login. err reports an invalid
// setting.
//
// identityErr is a *token.MissingError or *token.NoRoleError, or nil. It is separate from err
// because the returned LoginInput is complete enough to open the cache, and a stored login needs no
// identity.
func (h Helper) newLoginInput(
	settings config.Settings,
) (in exchange.LoginInput, identityErr, err error) {
	identity, err := token.Identify(h.Env, settings.Identity)
	if h.Tokens != nil {
		identity = h.Tokens.Share(identity)
	}
	var (
		missing *token.MissingError
		noRole  *token.NoRoleError
	)
	if errors.As(err, &missing) || errors.As(err, &noRole) {
		identityErr, err = err, nil
	}
	roles := settings.Role
	if identity.WebIdentityPair {
		roles = settings.WebIdentityRole
	}
	settings.SessionName = cmp.Or(settings.SessionName, identity.SessionName())
	in = exchange.LoginInput{
		Settings: settings, Roles: roles, Identity: identity, Env: h.Env, Debug: h.Debug,
	}
	return in, identityErr, cmp.Or(err, roles.Err)
}

// storedLogin returns the login that another tool stored for the registry. It takes precedence over
// the identity, regardless of which is newer.
func (h Helper) storedLogin(entries *cache.Cache, settings config.Settings) (cache.Entry, bool) {
	host := settings.Registry.Host
	e, ok := entries.Get(storedLoginKey(settings.Registry))
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
