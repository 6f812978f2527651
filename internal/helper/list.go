package helper

import (
	"context"
	"errors"

	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/config"
	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/dockerconfig"
	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/registry"
)

// List returns usernames by host. It makes no network call of its own.
//
// If this helper is Docker's credsStore, these are the hosts that creds_store lists, without those
// of ECR: Docker calls get for each host, on every build, and one failure would hide the others'
// logins. Otherwise they are the ECR hosts that credHelpers assigns to this helper. Docker does not
// call list then, but Testcontainers for Node up to 11.5.1 does, and calls get only for a host that
// is listed. A host to which Get answers "not found" is left out. Docker's configuration is for
// Docker to complain about: if it cannot be read, there are no hosts.
func (h Helper) List(ctx context.Context) (map[string]string, error) {
	hosts := map[string]string{}
	docker, err := readDocker(h.Env.Get("DOCKER_CONFIG"))
	if err != nil {
		h.Debug("no hosts: %v", err)
		return hosts, nil
	}
	if docker.CredsStore() == config.HelperName {
		return h.listForeign(ctx)
	}
	settings, err := config.Read(h.Env, h.Environ)
	for host, name := range docker.Helpers() {
		reg, ok := registry.Parse(host)
		if !ok || name != config.HelperName || err == nil && isAnonymous(settings, reg) {
			continue
		}
		hosts[host] = "AWS"
	}
	return hosts, nil
}

func readDocker(dir string) (*dockerconfig.File, error) {
	path, err := dockerconfig.Path(dir)
	if err != nil {
		return nil, err
	}
	return dockerconfig.Read(path)
}

// isAnonymous reports whether Get answers "not found" for a registry to which no login was stored.
func isAnonymous(settings config.Config, reg registry.Registry) bool {
	s, err := settings.For(reg)
	return errors.Is(err, config.ErrNotAllowed) ||
		err == nil && reg.Public && len(s.Role.ARNs) == 0 && s.Role.Err == nil
}
