package cli

import (
	"fmt"
	"strings"

	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/dockerconfig"
	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/safetext"
)

// change makes every change, to Docker's file in memory and to ecr-oidc.yaml.
func (c *configuration) change(file *dockerconfig.File) error {
	if c.restore != "" {
		return c.restoreBackup(file)
	}
	if c.backup != "" {
		if err := c.writeBackup(file); err != nil {
			return err
		}
	}
	for _, reg := range c.registries {
		if c.remove {
			c.removeHelper(file, reg.Host)
		} else {
			c.setHelper(file, reg.Host)
			c.removeAuth(file, reg.Host)
		}
	}
	if n := len(file.Helpers()); !c.remove && n > manyHelpers {
		instead := ""
		if c.authfile == "" { // podman's file has no credsStore
			instead = "; --creds-store needs none of them"
		}
		c.warn("%s now has %d registries in credHelpers: docker-py, podman's remote client and "+
			"Docker's classic builder ask for every one of them, and a single refusal stops the "+
			"first two%s", c.path, n, instead)
	}
	if c.store.set {
		if err := c.credsStore(file); err != nil {
			return err
		}
	}
	return c.writeSettings()
}

// manyHelpers is the number of entries in credHelpers above which there is a warning.
const manyHelpers = 5

func (c *configuration) setHelper(file *dockerconfig.File, host string) {
	switch old := file.SetHelper(host, name); old {
	case "":
		c.report("%s: %s asks %s for %s", c.path, c.client, name, host)
	case name:
		c.report("%s: %s asks %s for %s already", c.path, c.client, name, host)
	default:
		c.report("%s: %s asks %s for %s, instead of %s", c.path, c.client, name, host, old)
	}
}

func (c *configuration) removeHelper(file *dockerconfig.File, host string) {
	switch old := file.Helper(host); old {
	case name:
		file.RemoveHelper(host)
		c.report("%s: %s no longer asks %s for %s", c.path, c.client, name, host)
	case "":
		c.report("%s: %s does not ask %s for %s", c.path, c.client, name, host)
	default:
		c.report("%s: %s asks %s for %s, which stays so", c.path, c.client, old, host)
	}
}

// removeAuth removes what "docker login" left for a host.
func (c *configuration) removeAuth(file *dockerconfig.File, host string) {
	for _, key := range file.RemoveLogins(host) {
		c.report("%s: removed the old login for %q in auths, which Docker before 29 would use "+
			"after a refusal", c.path, key)
	}
}

// report adds a line that is printed when all is done. It begins with a path.
func (c *configuration) report(format string, args ...any) {
	line := c.clean(format, args)
	if strings.HasPrefix(line, "::") { // GitHub's runner takes such a line for a command
		line = "./" + line
	}
	c.done = append(c.done, line)
}

func (c *configuration) warn(format string, args ...any) {
	c.warnings = append(c.warnings, c.clean(format, args))
}

// clean returns a message as one line. Each text in it may come from a file or an argument, and is
// shortened by itself.
func (c *configuration) clean(format string, args []any) string {
	for i, arg := range args {
		if text, ok := arg.(string); ok {
			args[i] = safetext.Sanitize(text)
		}
	}
	return safetext.SingleLine(safetext.Redact(fmt.Sprintf(format, args...), c.Env.Secrets()...))
}
