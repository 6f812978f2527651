package doctor

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"time"

	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/helper"
	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/safetext"
)

func (d *Diagnosis) cache(x helper.Examination) {
	var missing *fs.PathError
	switch {
	case errors.Is(x.CacheErr, fs.ErrNotExist) && errors.As(x.CacheErr, &missing):
		d.add("cache", OK, "%s is not there yet", missing.Path)
	case x.CacheErr != nil:
		why := strings.ReplaceAll(strings.TrimPrefix(x.CacheErr.Error(), "opening the cache: "),
			"\n", "; ")
		d.add("cache", Note, "none: %s", safetext.Sanitize(why))
	case x.Cached == nil:
		d.add("cache", OK, "%s: nothing for this registry", x.CacheDir)
	default:
		d.cached(x, time.Since(x.Cached.CreatedAt))
	}
}

// storedLogin reports a login that another tool stored, which get returns before all else.
func (d *Diagnosis) storedLogin(x helper.Examination) {
	const (
		returned = "get returns the login that another tool stored %s ago; the role and the " +
			"source are not used"
		ignored = "get ignores the login that another tool stored %s ago: ECR_OIDC_STORED_LOGINS " +
			"is off"
	)
	remove := "to delete it: docker logout " + x.Registry.Host
	switch {
	case x.StoredLogin != nil:
		c := d.add("login", Note, returned, span(time.Since(x.StoredLogin.CreatedAt)))
		c.Next = remove + "; to ignore stored logins: ECR_OIDC_STORED_LOGINS=off"
	case x.IgnoredLogin != nil:
		d.add("login", Note, ignored, span(time.Since(x.IgnoredLogin.CreatedAt))).Next = remove
	}
}

// cached reports how long get will return the entry. When it is no longer fresh, AWS is asked
// again, and a refusal deletes it.
func (d *Diagnosis) cached(x helper.Examination, age time.Duration) {
	e := x.Cached
	left := min(e.Remaining(time.Now()), e.FreshFor-age)
	text := fmt.Sprintf("%s: a password made %s ago that lives %s", x.CacheDir, span(age),
		span(e.TTL))
	switch {
	case !e.IsUsable(time.Now()):
		d.add("cache", OK, "%s and serves no longer", text)
	case d.Ready:
		d.add("cache", OK, "%s", text)
	case left <= 0:
		d.add("cache", Note, "%s; get answers with it while AWS cannot be asked", text)
	default:
		d.add("cache", Note, "%s; get answers with it for up to %s yet, "+
			"and says only then what it would say now", text, span(left)).
			Next = "to forget it: docker logout " + x.Registry.Host
	}
}
