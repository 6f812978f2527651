package doctor

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"time"

	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/explain"
	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/helper"
	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/safetext"
	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/token"
)

// addStoredLogin adds the check that shows a login that another tool stored. A get returns it without
// using the role and the source.
func (d *Diagnosis) addStoredLogin(x helper.Examination) {
	const (
		returned = "get returns the login that another tool stored %s ago; the role and the " +
			"source are not used"
		ignored = "get ignores the login that another tool stored %s ago: ECR_OIDC_STORED_LOGINS " +
			"is off"
	)
	remove := "to delete it: docker logout " + x.Registry.Host
	switch {
	case x.StoredLogin != nil:
		c := d.add("login", Note, returned, formatDuration(time.Since(x.StoredLogin.CreatedAt)))
		c.Advice = remove + "; to ignore stored logins: ECR_OIDC_STORED_LOGINS=off"
	case x.IgnoredLogin != nil:
		c := d.add("login", Note, ignored, formatDuration(time.Since(x.IgnoredLogin.CreatedAt)))
		c.Advice = remove
	}
}

// addCache adds the check of the cache's directory and of the entry for this registry.
func (d *Diagnosis) addCache(x helper.Examination) {
	var missing *fs.PathError
	switch {
	case errors.Is(x.CacheErr, fs.ErrNotExist) && errors.As(x.CacheErr, &missing):
		d.add("cache", OK, "%s does not exist yet", missing.Path)
	case x.CacheErr != nil:
		reason := strings.ReplaceAll(strings.TrimPrefix(x.CacheErr.Error(), "opening the cache: "),
			"\n", "; ")
		d.add("cache", Note, "not used: %s", safetext.Sanitize(reason))
	case x.Cached == nil && x.CachedErr != nil:
		d.add("cache", OK, "%s: a failure, cached for another %s", x.CacheDir, remaining(x))
	case x.Cached == nil:
		d.add("cache", OK, "%s: no entry for this registry", x.CacheDir)
	default:
		d.addCacheEntry(x, time.Since(x.Cached.CreatedAt))
	}
}

// addCacheEntry adds the check of the entry, with the time for which get will return it. get returns a
// fresh entry without a request. It returns a usable entry that is no longer fresh if the request
// fails, unless AWS refuses the identity.
func (d *Diagnosis) addCacheEntry(x helper.Examination, age time.Duration) {
	e := x.Cached
	left := min(e.Remaining(time.Now()), e.FreshFor-age)
	text := fmt.Sprintf("%s: a password, created %s ago, valid for %s", x.CacheDir,
		formatDuration(age), formatDuration(e.TTL))
	switch {
	case !e.IsUsable(time.Now()):
		d.add("cache", OK, "%s; get no longer returns it", text)
	case d.Ready:
		d.add("cache", OK, "%s", text)
	case left <= 0:
		d.add("cache", Note, "%s; get returns it if the request fails, unless AWS refuses the identity", text)
	default:
		d.add("cache", Note, "%s; get returns it without a request for up to %s", text,
			formatDuration(left)).Advice = "to delete it: docker logout " + x.Registry.Host
	}
}

// addCachedFailure adds a check for the cached failure that get returns, unless a new request failed
// with the same error.
func (d *Diagnosis) addCachedFailure(x helper.Examination, env token.Env) {
	host := x.Registry.Host
	line := func(err error) string { return explain.Line(err, host, env.Secrets()) }
	if x.CachedErr == nil || x.StoredLogin != nil || x.Err != nil && line(x.Err) == line(x.CachedErr) {
		return
	}
	d.Ready = false
	d.add("cache", Wrong, "get returns a cached failure for another %s", remaining(x)).
		Advice = "to delete it: docker logout " + host
}

// remaining returns for how long get returns the cached failure.
func remaining(x helper.Examination) string {
	return formatDuration(max(time.Second, time.Until(x.CachedErrUntil)))
}
