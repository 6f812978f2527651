package cli

import (
	"errors"
	"fmt"
	"maps"
	"os/exec"
	"slices"
	"strings"

	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/config"
	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/dockerconfig"
	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/helper"
	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/registry"
	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/safetext"
)

// isSelf reports whether docker-credential-STORE is this program, by name or by executable.
func isSelf(store string) bool {
	if store == helperName {
		return true
	}
	path, err := exec.LookPath("docker-credential-" + store)
	return err == nil && helper.IsSelf(path)
}

// changeCredsStore makes this helper Docker's credsStore. It writes the previous credsStore, or the
// name in the flag, to creds_store in ecr-oidc.yaml. With --remove it reverts both.
func (c *configureCommand) changeCredsStore(file *dockerconfig.File) error {
	settingsPath, err := config.FilePath(c.Env, c.dockerConfigDir)
	if err != nil {
		return err
	}
	delegate, err := config.CredsStore(settingsPath)
	if err != nil {
		return err
	}
	current := file.CredsStore()
	if c.remove {
		return c.revertCredsStore(file, current, delegate)
	}
	if err := c.requireAllowedAccounts(settingsPath); err != nil {
		return err
	}
	newDelegate := c.credsStore.name
	switch alreadySet := current != "" && isSelf(current); {
	case alreadySet:
		c.addLine("%s: Docker already uses %s for all hosts (credsStore)", c.path, current)
		if newDelegate == "" && delegate == "" {
			c.warn("%s has no creds_store, so logins for hosts that are not ECR cannot be "+
				"stored; name a helper for them: --creds-store=NAME", settingsPath)
		}
		if newDelegate == "" || newDelegate == delegate {
			return nil
		}
	case newDelegate == "" && current == "":
		return errors.New("setting credsStore: there is no credsStore yet, and Docker would stop " +
			"using the logins in auths for other hosts; name a helper for them: " +
			"--creds-store=NAME")
	case newDelegate == "" && !config.IsHelperName(current):
		return fmt.Errorf("setting credsStore: the current credsStore %q is not the name of a "+
			"helper", safetext.Sanitize(current))
	default:
		c.setCredsStore(file, current)
		if newDelegate == "" {
			newDelegate = current
		}
	}
	if _, err := exec.LookPath("docker-credential-" + newDelegate); err != nil {
		c.warn("docker-credential-%s is not on PATH; logins for hosts that are not ECR fail without "+
			"it", newDelegate)
	}
	return c.setDelegate(newDelegate, delegate)
}

// requireAllowedAccounts returns an error if a role is set by name, without an account, and
// allowed_account_ids is not set. Docker calls its credsStore for every host. Without a limit, a
// FROM line with a registry of another account would make the helper assume the role in that
// account.
func (c *configureCommand) requireAllowedAccounts(settingsPath string) error {
	role, from, limited, err := config.DefaultBareRole(c.Env, settingsPath)
	if flag := config.FirstBareRole(c.settings.Role); flag != "" {
		role, from = flag, "--role"
	}
	if err != nil || role == "" || limited || len(c.settings.AllowedAccountIDs) > 0 {
		return err
	}
	accounts := slices.DeleteFunc(c.registryAccounts(), func(a string) bool { return a == "" })
	if len(accounts) == 0 {
		accounts = []string{"ACCOUNTS"}
	}
	return usageErrorf("configure: with --creds-store, Docker uses this helper for the "+
		"registries of every account, and the role %q (from %s) has no account, so it can exist in "+
		"any of them; limit the accounts: --allowed-account-ids %s", safetext.Sanitize(role), from,
		strings.Join(accounts, ","))
}

// setCredsStore changes Docker's file. It warns about logins that Docker no longer uses, and about
// credHelpers entries of other helpers, which take precedence over credsStore.
func (c *configureCommand) setCredsStore(file *dockerconfig.File, previous string) {
	file.SetCredsStore(helperName)
	instead := ""
	if previous != "" {
		instead = ", instead of " + previous
	}
	c.addLine("%s: Docker uses %s for all hosts%s (credsStore)", c.path, helperName, instead)
	for _, key := range file.Logins() {
		if reg, ok := registry.Parse(key); ok {
			c.removeLogins(file, reg.Host)
		}
	}
	if logins := file.Logins(); previous == "" && len(logins) > 0 {
		c.warn("Docker no longer uses the logins that remain in auths: log in again to %s",
			strings.Join(logins, ", "))
	}
	for _, host := range slices.Sorted(maps.Keys(file.Helpers())) {
		if _, ok := registry.Parse(host); ok && file.Helper(host) != helperName {
			c.warn("Docker still uses %s for %s because of its entry in credHelpers; to replace "+
				"the entry, configure %s", file.Helper(host), host, host)
		}
	}
}

// setDelegate writes creds_store, the helper for hosts that are not ECR, to ecr-oidc.yaml. It runs
// before Docker's file is written: if the process ends between the two, Docker still uses the
// previous helper.
func (c *configureCommand) setDelegate(delegate, previous string) error {
	return c.editSettings(func(path, displayPath string) error {
		switch previous {
		case delegate:
			c.addLine("%s: hosts that are not ECR are already delegated to %s (creds_store)",
				displayPath, delegate)
			return nil
		case "":
			c.addLine("%s: hosts that are not ECR are delegated to %s (creds_store)", displayPath,
				delegate)
		default:
			c.addLine("%s: hosts that are not ECR are delegated to %s, instead of %s "+
				"(creds_store)", displayPath, delegate, previous)
		}
		return config.SetCredsStore(path, delegate)
	})
}

// revertCredsStore restores the previous credsStore. It removes creds_store from ecr-oidc.yaml last,
// because Docker uses this helper until Docker's file is written.
func (c *configureCommand) revertCredsStore(file *dockerconfig.File, current, delegate string) error {
	switch {
	case current == "":
		c.addLine("%s: there is no credsStore", c.path)
		return nil
	case !isSelf(current):
		c.addLine("%s: unchanged: credsStore is %s", c.path, current)
		return nil
	case delegate == "":
		file.SetCredsStore("")
		c.addLine("%s: Docker no longer uses %s for all hosts (credsStore)", c.path, current)
		return nil
	}
	file.SetCredsStore(delegate)
	c.addLine("%s: Docker uses %s for all hosts, instead of %s (credsStore)", c.path, delegate,
		current)
	file.AfterWrite(func() error {
		return c.editSettings(func(path, displayPath string) error {
			if err := config.SetCredsStore(path, ""); err != nil {
				return err
			}
			return c.deleteEmptySettings(path, displayPath)
		})
	})
	return nil
}
