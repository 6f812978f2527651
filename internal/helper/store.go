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

// maxTTL is the TTL of a login without a readable expiry: the longest that ECR issues.
const maxTTL = 12 * time.Hour

// Store caches a login that another tool created, such as docker login or amazon-ecr-login. Get
// returns it until shortly before it expires, or until Erase deletes it. It is encrypted like the
// helper's own entries. If the login cannot be cached, Store returns an error.
//
// Store ignores the helper's own password: "docker login" without a password stores the password
// that it got from Get.
func (h Helper) Store(ctx context.Context, c *credentials.Credentials) error {
	reg, ok := registry.Parse(c.ServerURL)
	if !ok {
		return h.delegateStore(ctx, c)
	}
	settings, err := h.settings(reg)
	if err != nil {
		return fmt.Errorf("storing the login for %s: %w", reg.Host, err)
	}
	in, identityErr, err := h.newLoginInput(settings)
	if err != nil {
		return fmt.Errorf("storing the login for %s: %w", reg.Host, err)
	}
	entries, err := h.openCache(in, cache.Open)
	if err != nil {
		return fmt.Errorf("storing the login for %s: %w", reg.Host, err)
	}
	if identityErr == nil { // the identity can have a cached login
		own, ok := entries.Get(h.cacheKey(in))
		if ok && own.Username == c.Username && own.Secret == c.Secret {
			return nil
		}
	}
	e := newEntry(c, time.Now())
	if e.TTL <= 0 {
		return fmt.Errorf("storing the login for %s: it has expired", reg.Host)
	}
	if !e.IsUsable(time.Now()) {
		return fmt.Errorf("storing the login for %s: it expires in %v, too soon to be cached",
			reg.Host, e.TTL.Truncate(time.Second))
	}
	if err := entries.Put(storedLoginKey(reg), e); err != nil {
		return fmt.Errorf("storing the login for %s: %w", reg.Host, err)
	}
	return nil
}

// Erase deletes the stored login for a host, and the helper's own login, which other accounts may
// share. It is not an error if there is none: "docker logout" calls erase for four forms of a host
// name.
func (h Helper) Erase(ctx context.Context, host string) error {
	reg, ok := registry.Parse(host)
	if !ok {
		return h.delegateErase(ctx, host)
	}
	settings, err := h.settings(reg)
	if errors.Is(err, config.ErrNotAllowed) { // nothing is cached for this account
		return nil
	}
	if err != nil {
		return err
	}
	in, identityErr, err := h.newLoginInput(settings)
	if err != nil {
		return err
	}
	entries := h.cacheFor(in)
	err = entries.Remove(storedLoginKey(reg))
	if identityErr == nil { // the identity can have a cached login
		err = errors.Join(err, entries.Remove(h.cacheKey(in)))
	}
	return err
}

// newEntry returns the cache entry for a client's login. An ECR password is base64 of JSON with an
// "expiration" in Unix seconds (aws-ecr-orb#265). The TTL of other passwords is maxTTL.
func newEntry(c *credentials.Credentials, now time.Time) cache.Entry {
	e := cache.Entry{Username: c.Username, Secret: c.Secret, CreatedAt: now, TTL: maxTTL}
	var password struct {
		Expiration int64 `json:"expiration"`
	}
	plain, err := base64.StdEncoding.DecodeString(c.Secret)
	if err == nil && json.Unmarshal(plain, &password) == nil && password.Expiration > 0 {
		e.TTL = min(e.TTL, time.Duration(min(password.Expiration-now.Unix(),
			int64(maxTTL/time.Second)))*time.Second)
	}
	e.FreshFor = e.TTL
	return e
}
