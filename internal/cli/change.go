package cli

import (
	"fmt"
	"strings"

	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/dockerconfig"
	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/safetext"
)

// change makes all changes: to Docker's or Podman's file in memory, and to ecr-oidc.yaml on disk.
func (c *configureCommand) change(file *dockerconfig.File) error {
	if c.restore != "" {
		return c.restoreBackup(file)
	}
	if c.backup != "" {
		if err := c.writeBackup(file); err != nil {
			return err
		}
	}
	if c.remove {
		c.removeHelpers(file)
	}
	for _, reg := range c.registries {
		if !c.remove {
			c.setHelper(file, reg.Host)
			c.removeLogins(file, reg.Host)
		}
	}
	if n := len(file.Helpers()); !c.remove && n > manyHelpers {
		alternative := ""
		if c.authfile == "" { // Podman's file has no credsStore
			alternative = "; --creds-store does not add entries"
		}
		c.warn("%s now has %d registries in credHelpers: docker-py, Podman's remote client and "+
			"Docker's classic builder request a login for each of them, and docker-py and "+
			"Podman's remote client stop if one request fails%s", c.path, n, alternative)
	}
	if c.credsStore.set {
		if err := c.changeCredsStore(file); err != nil {
			return err
		}
	}
	if c.remove {
		c.findRemainingEntries(file)
	}
	return c.writeSettings()
}

// manyHelpers is the number of entries in credHelpers above which configure prints a warning.
const manyHelpers = 5

func (c *configureCommand) setHelper(file *dockerconfig.File, host string) {
	switch previous := file.SetHelper(host, helperName); previous {
	case "":
		c.addLine("%s: %s uses %s for %s", c.path, c.client, helperName, host)
	case helperName:
		c.addLine("%s: %s already uses %s for %s", c.path, c.client, helperName, host)
	default:
		c.addLine("%s: %s uses %s for %s, instead of %s", c.path, c.client, helperName, host,
			previous)
	}
}

// removeLogins removes the logins for a host that "docker login" wrote to auths.
func (c *configureCommand) removeLogins(file *dockerconfig.File, host string) {
	for _, key := range file.RemoveLogins(host) {
		c.addLine("%s: removed the old login for %q from auths; Docker before 29 uses such a login "+
			"when the helper fails", c.path, key)
	}
}

// addLine adds a line to the output, which is printed when all changes are made. The line begins with
// a path.
func (c *configureCommand) addLine(format string, args ...any) {
	line := c.formatLine(format, args)
	if strings.HasPrefix(line, "::") { // GitHub's runner would run it as a workflow command
		line = "./" + line
	}
	c.lines = append(c.lines, line)
}

func (c *configureCommand) warn(format string, args ...any) {
	c.warnings = append(c.warnings, c.formatLine(format, args))
}

// formatLine formats a message as one line without secrets. String arguments can come from a file or
// the command line, so each of them is sanitized and shortened.
func (c *configureCommand) formatLine(format string, args []any) string {
	for i, arg := range args {
		if text, ok := arg.(string); ok {
			args[i] = safetext.Sanitize(text)
		}
	}
	return safetext.SingleLine(safetext.Redact(fmt.Sprintf(format, args...), c.Env.Secrets()...))
}
