package cli

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/atomicfile"
	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/config"
	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/dockerconfig"
	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/registry"
)

const helperName = config.HelperName

// exampleHost is the registry in examples and usage errors.
const exampleHost = "123456789012.dkr.ecr.eu-west-2.amazonaws.com"

// configureCommand is one call of configure: its flags, and the result so far.
type configureCommand struct {
	accounts, regions []string
	settings          config.AccountSettings
	remove, dryRun    bool
	dockerConfigDir   string // --docker-config
	authfile          string
	credsStore        credsStoreFlag
	backup, restore   string // paths

	Program
	registries []registry.Registry
	path       string        // of Docker's or Podman's file
	client     string        // "Docker" or "Podman"
	remaining  []helperEntry // with remove: the entries that still name this helper
	lines      []string      // to print when all changes are made
	warnings   []string
}

// run makes all changes, and then prints them. If the settings in ecr-oidc.yaml cannot be removed, it
// prints what it has removed from Docker's file, and returns the error.
func (c *configureCommand) run(args []string) (err error) {
	if c.registries, err = c.parseRegistries(args); err == nil {
		err = c.checkFlags()
	}
	if err != nil {
		return err
	}
	c.path, c.client = c.authfile, "Podman"
	if c.authfile == "" {
		c.client = "Docker"
		dir := cmp.Or(c.dockerConfigDir, c.Env.Get("DOCKER_CONFIG"))
		if c.path, err = dockerconfig.Path(dir); err != nil {
			return err
		}
	}
	if _, statErr := os.Stat(c.path); c.dryRun || c.remove && errors.Is(statErr, fs.ErrNotExist) {
		err = c.preview() // Update would create the directory
	} else {
		err = dockerconfig.Update(c.path, lockTimeout, c.change)
	}
	if err != nil {
		return err
	}
	if c.remove {
		err = c.removeSettings()
	}
	for _, line := range c.lines {
		if c.dryRun {
			line += " (dry run)"
		}
		fmt.Fprintln(c.Stdout, line)
	}
	for _, warning := range append(c.warnings, c.environmentWarnings()...) {
		fmt.Fprintln(c.Stderr, c.errorLine(errors.New(warning)))
	}
	return err
}

// lockTimeout limits how long configure waits for the lock of a file. A process holds it for
// milliseconds.
const lockTimeout = 10 * time.Second

// preview makes all changes in memory. It returns the errors that dockerconfig.Update returns before
// it writes.
func (c *configureCommand) preview() error {
	if _, err := atomicfile.ResolveSymlinks(c.path); err != nil {
		return fmt.Errorf("editing %s: %w", c.path, err)
	}
	file, err := dockerconfig.Read(c.path)
	if err != nil {
		return err
	}
	return c.change(file)
}
