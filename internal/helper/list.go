package helper

import (
	"context"
	"errors"

	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/config"
	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/dockerconfig"
	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/registry"
)

// List returns usernames by host. It makes no request to AWS or the CI.
//
// If this helper is Docker's credsStore, List returns the hosts of creds_store without ECR hosts:
// Docker calls get for each listed host in every build, and one failure would hide the other logins.
//
// Otherwise, List returns the ECR hosts that credHelpers assigns to this helper, except those for
// which Get returns "not found". Docker does not call list in this case. Testcontainers for Node
// does, up to version 11.5.1, and calls get only for listed hosts.
//
// If Docker's configuration cannot be read, List returns no hosts and no error: Docker reports the
// error itself.
func (h Helper) List(ctx context.Context) (map[string]string, error) {
	hosts := map[string]string{}
	docker, err := readDockerConfig(h.Env.Get("DOCKER_CONFIG"))
	if err != nil {
		h.Debug("no hosts: %v", err)
		return hosts, nil
	}
	if docker.CredsStore() == config.HelperName {
		return h.delegateList(ctx)
	}
	c, err := config.Read(h.Env, h.Environ)
	for host, name := range docker.Helpers() {
		reg, ok := registry.Parse(host)
		if !ok || name != config.HelperName || err == nil && isNotFound(c, reg) {
			continue
		}
		hosts[host] = "AWS"
	}
	return hosts, nil
}

// readDockerConfig reads config.json in dir, or in Docker's default directory if dir is empty.
func readDockerConfig(dir string) (*dockerconfig.File, error) {
	path, err := dockerconfig.Path(dir)
	if err != nil {
		return nil, err
	}
	return dockerconfig.Read(path)
}

// isNotFound reports whether Get returns "not found" for a registry without a stored login.
func isNotFound(c config.Config, reg registry.Registry) bool {
	s, err := c.For(reg)
	return errors.Is(err, config.ErrNotAllowed) ||
		err == nil && reg.Public && len(s.Role.ARNs) == 0 && s.Role.Err == nil
}
