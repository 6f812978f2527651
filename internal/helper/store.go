package helper

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/docker/docker-credential-helpers/credentials"

	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/cache"
	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/config"
	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/registry"
)

// longestLogin is how long a login is kept whose expiry cannot be read: ECR gives none for longer.
const longestLogin = 12 * time.Hour

// Store keeps a login that a client made by other means (docker login, amazon-ecr-login), sealed
// like our own entries, until it expires or Erase; Get answers with it meanwhile. Our own password
// coming back, which is what "docker login" without a password does, is nothing to keep. A login
// that cannot be kept is an error, never silently lost.
func (h Helper) Store(ctx context.Context, c *credentials.Credentials) error {
	reg, ok := registry.Parse(c.ServerURL)
	if !ok {
		return h.storeForeign(ctx, c)
	}
	settings, err := h.settings(reg)
	if err != nil {
		return fmt.Errorf("storing the login for %s: %w", reg.Host, err)
	}
	r, noIdentity, err := h.request(settings)
	if err != nil {
		return fmt.Errorf("storing the login for %s: %w", reg.Host, err)
	}
	store, err := h.openCache(r, cache.Open)
	if err != nil {
		return fmt.Errorf("storing the login for %s: %w", reg.Host, err)
	}
	if noIdentity == nil {
		if own, ok := store.Get(h.cacheKey(r)); ok && own.Username == c.Username && own.Secret == c.Secret {
			return nil
		}
	}
	e := entryOf(c, time.Now())
	if e.TTL <= 0 {
		return fmt.Errorf("storing the login for %s: it has expired", reg.Host)
	}
	if !e.IsUsable(time.Now()) {
		return fmt.Errorf("storing the login for %s: it expires in %v, too soon to keep it", reg.Host,
			e.TTL.Truncate(time.Second))
	}
	if err := store.Put(loginKey(reg), e); err != nil {
		return fmt.Errorf("storing the login for %s: %w", reg.Host, err)
	}
	return nil
}

// Erase forgets what is kept for a host: a stored login, and our own password, for every account
// that shares it. That there is nothing to forget is a success, as "docker logout" asks in four
// forms of one name.
func (h Helper) Erase(ctx context.Context, host string) error {
	reg, ok := registry.Parse(host)
	if !ok {
		return h.eraseForeign(ctx, host)
	}
	settings, err := h.settings(reg)
	if errors.Is(err, config.ErrNotAllowed) { // then nothing was kept
		return nil
	}
	if err != nil {
		return err
	}
	r, noIdentity, err := h.request(settings)
	if err != nil {
		return err
	}
	store := h.cache(r)
	err = store.Remove(loginKey(reg))
	if noIdentity == nil {
		err = errors.Join(err, store.Remove(h.cacheKey(r)))
	}
	return err
}

// entryOf makes an entry of a client's login. An ECR password is base64 of JSON that names its own expiry
// (aws-ecr-orb#265); anything else is kept for as long as ECR's longest.
func entryOf(c *credentials.Credentials, now time.Time) cache.Entry {
	e := cache.Entry{Username: c.Username, Secret: c.Secret, CreatedAt: now, TTL: longestLogin}
	var password struct {
		Expiration int64 `json:"expiration"`
	}
	plain, err := base64.StdEncoding.DecodeString(c.Secret)
	if err == nil && json.Unmarshal(plain, &password) == nil && password.Expiration > 0 {
		e.TTL = min(e.TTL, time.Duration(min(password.Expiration-now.Unix(),
			int64(longestLogin/time.Second)))*time.Second)
	}
	e.FreshFor = e.TTL
	return e
}
