package cli

import (
	"cmp"
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/docker/docker-credential-helpers/credentials"

	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/dockerconfig"
	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/explain"
	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/helper"
	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/registry"
	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/safetext"
)

// inspect returns the state of a registry without a request: the helper that Docker calls, the identity
// and the cached login.
func (c *checkCommand) inspect(h helper.Helper, t target) checkResult {
	result := checkResult{Registry: t.registry.Host, Repository: t.repository}
	x, err := explain.RunWithTimeout("reading the settings", explain.CommandTimeout,
		func(ctx context.Context) (helper.Examination, error) {
			return h.Examine(ctx, t.registry), nil
		})
	switch {
	case err != nil:
		return c.fail(result, t, err)
	case x.NotFound:
		return c.fail(result, t, credentials.NewErrCredentialsNotFound())
	case x.Err != nil && x.StoredLogin == nil:
		return c.fail(result, t, x.Err)
	}
	result.OK = true
	result.Source = x.Identity.Name
	if n := len(x.Roles.ARNs); n > 0 {
		result.Role, result.RoleFrom = x.Roles.ARNs[n-1], x.Roles.From
	}
	result.profile = c.describeProfile(x)
	entry := cmp.Or(x.StoredLogin, x.Cached)
	result.StoredLogin = x.StoredLogin != nil
	if entry != nil {
		expires := entry.CreatedAt.Add(entry.TTL).UTC().Truncate(time.Second)
		result.Expires, result.Subject = &expires, entry.Subject
		result.Cached = entry.IsFresh(time.Now())
	}
	parts := []string{c.dockerHelper(t.registry), describeIdentity(result)}
	switch {
	case result.StoredLogin, result.Cached:
		parts = append(parts, describeExpiry(result))
	case x.CachedErr != nil:
		parts = append(parts, "cached failure: "+
			explain.Line(x.CachedErr, t.registry.Host, c.Env.Secrets()))
	default:
		parts = append(parts, "not cached")
	}
	result.text = strings.Join(parts, ", ")
	return result
}

// describeProfile describes the AWS profile that the user named, or returns "" if it is not used. It
// omits the default profile, because the SDK may use the machine's own credentials instead.
func (c *checkCommand) describeProfile(x helper.Examination) string {
	name, from := x.Profile(c.Env)
	if from == "" {
		return ""
	}
	return fmt.Sprintf("profile %s (from %s)", safetext.Sanitize(name), from)
}

// dockerHelper describes which helper Docker calls for a registry.
func (c *checkCommand) dockerHelper(reg registry.Registry) string {
	path, err := dockerconfig.Path(c.Env.Get("DOCKER_CONFIG"))
	if err != nil {
		return "Docker's configuration was not found"
	}
	file, err := dockerconfig.Read(path)
	if err != nil {
		return "Docker's configuration cannot be read"
	}
	if called := cmp.Or(file.Helper(reg.Host), file.CredsStore()); called != "" {
		return "Docker calls helper " + safetext.Sanitize(called)
	}
	return "Docker calls no helper (to change that: docker-credential-ecr-oidc configure " +
		reg.Host + ")"
}
