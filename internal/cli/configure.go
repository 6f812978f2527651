package cli

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"time"

	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/atomicfile"
	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/config"
	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/dockerconfig"
	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/registry"
)

const name = config.HelperName

// exampleHost is what a registry looks like.
const exampleHost = "123456789012.dkr.ecr.eu-west-2.amazonaws.com"

// configuration is a call of configure.
type configuration struct {
	accounts, regions []string
	settings          config.AccountSettings
	remove, dryRun    bool
	dir, authfile     string
	store             storeFlag
	backup, restore   string // files

	Program
	registries []registry.Registry
	path       string   // of Docker's or podman's file
	client     string   // whose that is
	done       []string // lines to print when all is done
	warnings   []string
}

// run makes all changes, and prints them when all are made.
func (c *configuration) run(args []string) (err error) {
	if c.registries, err = c.named(args); err == nil {
		err = c.checkFlags()
	}
	if err != nil {
		return err
	}
	c.path, c.client = c.authfile, "podman"
	if c.authfile == "" {
		c.client = "Docker"
		if c.path, err = dockerconfig.Path(cmp.Or(c.dir, c.Env.Get("DOCKER_CONFIG"))); err != nil {
			return err
		}
	}
	if c.dryRun {
		err = c.preview()
	} else {
		err = dockerconfig.Update(c.path, lockTimeout, c.change)
	}
	if err != nil {
		return err
	}
	for _, line := range c.done {
		if c.dryRun {
			line += " (dry run)"
		}
		fmt.Fprintln(c.Stdout, line)
	}
	for _, warning := range append(c.warnings, c.environmentWarnings()...) {
		fmt.Fprintln(c.Stderr, c.line(errors.New(warning)))
	}
	return nil
}

// lockTimeout is how long configure waits for another process to release the lock of a file. An
// edit takes milliseconds.
const lockTimeout = 10 * time.Second

// preview makes every change in memory, and fails where Update would before it writes.
func (c *configuration) preview() error {
	if _, err := atomicfile.ResolveSymlinks(c.path); err != nil {
		return fmt.Errorf("editing %s: %w", c.path, err)
	}
	file, err := dockerconfig.Read(c.path)
	if err != nil {
		return err
	}
	return c.change(file)
}

// environmentWarnings warns about what keeps Docker from using this helper, whatever is in its
// file.
func (c *configuration) environmentWarnings() (warnings []string) {
	if c.remove || c.restore != "" {
		return nil
	}
	if _, err := exec.LookPath("docker-credential-" + name); err != nil {
		warnings = append(warnings,
			fmt.Sprintf("docker-credential-%s is not on PATH, where %s looks for it", name,
				c.client))
	}
	if c.authfile == "" && c.Env.Get("DOCKER_AUTH_CONFIG") != "" {
		warnings = append(warnings,
			"DOCKER_AUTH_CONFIG is set: Docker uses the logins in it before it asks any helper")
	}
	settings, err := config.Read(c.Env, os.Environ())
	if err != nil {
		return append(warnings, err.Error())
	}
	for _, reg := range c.registries {
		plan, err := settings.For(reg)
		switch {
		case errors.Is(err, config.ErrNotAllowed):
			warnings = append(warnings,
				fmt.Sprintf("%s: %v, so it is answered as if it were not ECR", reg.Host, err))
		case reg.Public && len(c.settings.Role) == 0 && (err != nil || len(plan.Role.ARNs) == 0):
			warnings = append(warnings,
				reg.Host+" stays anonymous until it has a role of its own: set "+
					"ECR_OIDC_ROLE_PUBLIC, or configure it with --role")
		}
	}
	return warnings
}
