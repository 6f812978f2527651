package doctor

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"slices"
	"time"

	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/config"
	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/dockerconfig"
	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/explain"
	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/helper"
	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/registry"
	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/safetext"
	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/token"
)

const name = config.HelperName

// DockerEnvironment is what Docker's use of this helper depends on, for every registry.
type DockerEnvironment struct {
	path string             // of Docker's config.json
	file *dockerconfig.File // nil when it cannot be read ...
	err  error              // ... for this reason

	variable []string // the registries that DOCKER_AUTH_CONFIG has logins for
	checks   []Check  // of PATH and of Docker's version
}

// InspectDocker reads Docker's configuration, and looks for this helper and for Docker on PATH.
// Each step is abandoned after probeTimeout.
func InspectDocker(env token.Env) (e DockerEnvironment) {
	e.path, e.err = dockerconfig.Path(env.Get("DOCKER_CONFIG"))
	if e.err == nil {
		e.file, e.err = probe("reading "+e.path,
			func() (*dockerconfig.File, error) { return readDocker(e.path) })
	}
	e.variable = authConfig(env.Get("DOCKER_AUTH_CONFIG"))
	e.checks = systemChecks()
	for i := range e.checks {
		e.checks[i].Common = true
	}
	return e
}

// Registries returns the registries that credHelpers assigns to this helper. The error is why there
// are none.
func (e DockerEnvironment) Registries() (regs []registry.Registry, err error) {
	if e.err != nil {
		return nil, errors.New(safetext.Sanitize(e.err.Error()))
	}
	helpers := e.file.Helpers()
	for _, host := range slices.Sorted(maps.Keys(helpers)) {
		if reg, ok := registry.Parse(host); ok && helpers[host] == name {
			regs = append(regs, reg)
		}
	}
	if len(regs) == 0 {
		return nil, fmt.Errorf("the Docker configuration %s names no registry for this helper", e.path)
	}
	return regs, nil
}

// probeTimeout bounds a look at the machine that is not part of a get, and that a pipe or a dead
// network mount would block.
const probeTimeout = 5 * time.Second

// probe returns the result of a look at the machine.
func probe[T any](action string, look func() (T, error)) (T, error) {
	return explain.Within(action, probeTimeout, func(context.Context) (T, error) { return look() })
}

// readDocker reads Docker's file. A file that does not exist is an error.
func readDocker(path string) (*dockerconfig.File, error) {
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%s: %w", path, fs.ErrNotExist)
	}
	return dockerconfig.Read(path)
}

// docker reports whether Docker asks this helper for the registry.
func (d *Diagnosis) docker(x helper.Examination, e DockerEnvironment) {
	host := x.Registry.Host
	configure := "docker-credential-ecr-oidc configure " + host
	switch {
	case e.file == nil && errors.Is(e.err, fs.ErrNotExist):
		d.add("docker", Note, "it does not ask this helper: %s",
			safetext.Sanitize(e.err.Error())).Next = configure
	case e.file == nil: // which configure could not write to either
		d.add("docker", Note, "it cannot use this helper: %s",
			safetext.Sanitize(e.err.Error())).Next = "mend that file, and then: " + configure
	case e.file.Helper(host) == name:
		d.add("docker", OK, "%s: credHelpers names %s for this registry", e.path, name)
	case e.file.Helper(host) != "":
		d.add("docker", Note, "%s: credHelpers names %s for this registry, and not this helper",
			e.path, shown(e.file.Helper(host))).Next = configure
	case e.file.CredsStore() == name:
		d.add("docker", OK, "%s: credsStore is %s", e.path, name)
	case e.file.CredsStore() != "":
		d.add("docker", Note, "%s: credHelpers does not name this registry, so that Docker asks "+
			"%s, its credsStore", e.path, shown(e.file.CredsStore())).Next = configure
	default:
		d.add("docker", Note, "%s: credHelpers does not name this registry",
			e.path).Next = configure
	}
	if e.file != nil && slices.ContainsFunc(e.file.Logins(),
		func(key string) bool { return isHost(key, host) }) {
		d.add("docker", Note, "%s: auths has an old login for this registry, which Docker before "+
			"29 uses after a refusal", e.path).Next = configure
	}
	if slices.ContainsFunc(e.variable, func(key string) bool { return isHost(key, host) }) {
		d.add("docker", Note, "DOCKER_AUTH_CONFIG has a login for this registry, which Docker "+
			"uses before it asks any helper").Next = "unset it, or take that login out of it"
	}
	d.Checks = append(d.Checks, e.checks...)
}

func isHost(key, host string) bool {
	reg, ok := registry.Parse(key)
	return ok && reg.Host == host
}

// authConfig lists the registries that DOCKER_AUTH_CONFIG has logins for (docker/cli
// cli/config/configfile/file.go).
func authConfig(value string) (hosts []string) {
	var file struct {
		Auths map[string]json.RawMessage `json:"auths"`
	}
	if json.Unmarshal([]byte(value), &file) == nil {
		for host := range file.Auths {
			hosts = append(hosts, host)
		}
	}
	return hosts
}
