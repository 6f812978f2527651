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

const helperName = config.HelperName

// DockerEnvironment is the part of Docker's environment that decides whether Docker calls this
// helper. It is the same for every registry.
type DockerEnvironment struct {
	path string             // of Docker's config.json
	file *dockerconfig.File // nil when err is set
	err  error              // why the file cannot be read

	authConfigHosts []string // the registries that DOCKER_AUTH_CONFIG has logins for
	checks          []Check  // of PATH and of Docker's version
}

// CheckDocker reads Docker's configuration, searches PATH for this helper, and runs
// "docker --version". Each of these ends after probeTimeout.
func CheckDocker(env token.Env) (e DockerEnvironment) {
	e.path, e.err = dockerconfig.Path(env.Get("DOCKER_CONFIG"))
	if e.err == nil {
		e.file, e.err = probe("reading "+e.path,
			func() (*dockerconfig.File, error) { return readDockerConfig(e.path) })
	}
	e.authConfigHosts = parseAuthConfig(env.Get("DOCKER_AUTH_CONFIG"))
	e.checks = systemChecks()
	for i := range e.checks {
		e.checks[i].Common = true
	}
	return e
}

// Registries returns the registries that credHelpers assigns to this helper. If there are none, it
// returns an error with the reason.
func (e DockerEnvironment) Registries() (regs []registry.Registry, err error) {
	if e.err != nil {
		return nil, errors.New(safetext.Sanitize(e.err.Error()))
	}
	helpers := e.file.Helpers()
	for _, host := range slices.Sorted(maps.Keys(helpers)) {
		if reg, ok := registry.Parse(host); ok && helpers[host] == helperName {
			regs = append(regs, reg)
		}
	}
	if len(regs) == 0 {
		return nil, fmt.Errorf("credHelpers in %s assigns no registry to this helper", e.path)
	}
	return regs, nil
}

// probeTimeout limits an inspection of the machine that is not part of a get. A pipe or a network
// mount that does not respond would block it.
const probeTimeout = 5 * time.Second

// probe returns the result of an inspection of the machine, or *explain.TimeoutError.
func probe[T any](action string, inspect func() (T, error)) (T, error) {
	return explain.RunWithTimeout(action, probeTimeout,
		func(context.Context) (T, error) { return inspect() })
}

// readDockerConfig reads Docker's file. A file that does not exist is an error.
func readDockerConfig(path string) (*dockerconfig.File, error) {
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%s: %w", path, fs.ErrNotExist)
	}
	return dockerconfig.Read(path)
}

// addDocker adds the checks that show whether Docker calls this helper for the registry, and sets
// d.Docker.
func (d *Diagnosis) addDocker(x helper.Examination, e DockerEnvironment) {
	first := len(d.Checks)
	d.addDockerConfig(x.Registry.Host, e)
	if slices.ContainsFunc(e.authConfigHosts,
		func(key string) bool { return isHost(key, x.Registry.Host) }) {
		d.add("docker", Wrong, "DOCKER_AUTH_CONFIG has a login for this registry; Docker uses it "+
			"instead of any helper").Advice = "unset it, or remove that login from it"
	}
	d.Checks = append(d.Checks, e.checks...)
	d.Docker = !slices.ContainsFunc(d.Checks[first:],
		func(c Check) bool { return c.State == Wrong })
}

// addDockerConfig adds the checks of the entries for a registry in Docker's config.json.
func (d *Diagnosis) addDockerConfig(host string, e DockerEnvironment) {
	configure := "docker-credential-ecr-oidc configure " + host
	switch {
	case e.file == nil && errors.Is(e.err, fs.ErrNotExist):
		d.add("docker", Wrong, "Docker does not call this helper: %s",
			safetext.Sanitize(e.err.Error())).Advice = configure
	case e.file == nil: // configure would fail too
		d.add("docker", Wrong, "Docker cannot call this helper: %s",
			safetext.Sanitize(e.err.Error())).Advice = "fix that file, then run: " + configure
	case e.file.Helper(host) == helperName:
		d.add("docker", OK, "%s: credHelpers assigns this registry to %s", e.path, helperName)
	case e.file.Helper(host) != "":
		d.add("docker", Wrong, "%s: credHelpers assigns this registry to %s, not to this helper",
			e.path, display(e.file.Helper(host))).Advice = configure
	case e.file.CredsStore() == helperName:
		d.add("docker", OK, "%s: credsStore is %s", e.path, helperName)
	case e.file.CredsStore() != "":
		d.add("docker", Wrong, "%s: credHelpers has no entry for this registry, so Docker calls its "+
			"credsStore, %s", e.path, display(e.file.CredsStore())).Advice = configure
	default:
		d.add("docker", Wrong, "%s: credHelpers has no entry for this registry, so Docker calls no "+
			"helper", e.path).Advice = configure
	}
	if e.file != nil && slices.ContainsFunc(e.file.Logins(),
		func(key string) bool { return isHost(key, host) }) {
		d.add("docker", Note, "%s: auths has an old login for this registry; Docker before 29 uses "+
			"it when the helper fails", e.path).Advice = configure
	}
}

func isHost(key, host string) bool {
	reg, ok := registry.Parse(key)
	return ok && reg.Host == host
}

// parseAuthConfig returns the registries that DOCKER_AUTH_CONFIG has logins for (docker/cli
// cli/config/configfile/file.go).
func parseAuthConfig(value string) (hosts []string) {
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
