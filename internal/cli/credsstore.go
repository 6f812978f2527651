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
	if store == name {
		return true
	}
	path, err := exec.LookPath("docker-credential-" + store)
	return err == nil && helper.IsSelf(path)
}

// credsStore makes this helper Docker's credsStore, and the previous one the creds_store that other
// hosts are forwarded to. With --remove it undoes that.
func (c *configuration) credsStore(file *dockerconfig.File) error {
	ours, err := config.FilePath(c.Env, c.dir)
	if err != nil {
		return err
	}
	kept, err := config.CredsStore(ours)
	if err != nil {
		return err
	}
	was := file.CredsStore()
	if c.remove {
		return c.undoCredsStore(file, was, kept)
	}
	if err := c.requireAccounts(ours); err != nil {
		return err
	}
	next := c.store.name
	switch already := was != "" && isSelf(was); {
	case already:
		c.report("%s: Docker asks %s for all hosts already (credsStore)", c.path, was)
		if next == "" && kept == "" {
			c.warn("%s has no creds_store: logins for hosts that are not ECR cannot be kept; "+
				"name a helper for them: --creds-store=NAME", ours)
		}
		if next == "" || next == kept {
			return nil
		}
	case next == "" && was == "":
		return errors.New("becoming credsStore: there was none before, and Docker would no " +
			"longer use the logins in auths for other hosts; name a helper for them: " +
			"--creds-store=NAME")
	case next == "" && !config.IsHelperName(was):
		return fmt.Errorf("becoming credsStore: the one there is %q, which is no helper's name",
			safetext.Sanitize(was))
	default:
		c.becomeCredsStore(file, was)
		if next == "" {
			next = was
		}
	}
	if _, err := exec.LookPath("docker-credential-" + next); err != nil {
		c.warn("docker-credential-%s is not on PATH: Docker gets an error for hosts that are not "+
			"ECR until it is", next)
	}
	return c.keepCredsStore(next, kept)
}

// requireAccounts returns an error if a role is given by name, without an account, and
// allowed_account_ids is not set. Docker calls its credsStore for every host. A FROM line with a
// registry of another account would otherwise make the helper assume the role in that account.
func (c *configuration) requireAccounts(ours string) error {
	role, from, limited, err := config.DefaultBareRole(c.Env, ours)
	if flag := config.FirstBareRole(c.settings.Role); flag != "" {
		role, from = flag, "--role"
	}
	if err != nil || role == "" || limited || len(c.settings.AllowedAccountIDs) > 0 {
		return err
	}
	accounts := slices.DeleteFunc(c.namedAccounts(), func(a string) bool { return a == "" })
	if len(accounts) == 0 {
		accounts = []string{"ACCOUNTS"}
	}
	return usageErrorf("configure: with --creds-store this helper is asked for the registries of "+
		"every account, "+
		"and the role %q from %s is a name without an account, which can exist in any of them; "+
		"limit the accounts: --allowed-account-ids %s", safetext.Sanitize(role), from,
		strings.Join(accounts, ","))
}

// becomeCredsStore changes Docker's file. It warns about logins that Docker no longer uses, and
// about entries of other helpers, which Docker still prefers.
func (c *configuration) becomeCredsStore(file *dockerconfig.File, was string) {
	file.SetCredsStore(name)
	instead := ""
	if was != "" {
		instead = ", instead of " + was
	}
	c.report("%s: Docker asks %s for all hosts%s (credsStore)", c.path, name, instead)
	for _, key := range file.Logins() {
		if reg, ok := registry.Parse(key); ok {
			c.removeAuth(file, reg.Host)
		}
	}
	if logins := file.Logins(); was == "" && len(logins) > 0 {
		c.warn("Docker no longer uses the logins in auths, which stay there: log in again to %s",
			strings.Join(logins, ", "))
	}
	for _, host := range slices.Sorted(maps.Keys(file.Helpers())) {
		if _, ok := registry.Parse(host); ok && file.Helper(host) != name {
			c.warn("Docker goes on asking %s for %s, by its entry in credHelpers; configure %s "+
				"changes that", file.Helper(host), host, host)
		}
	}
}

// keepCredsStore writes which helper is asked for hosts that are not ECR. It comes before Docker's
// file is written: if this process ends between the two, Docker still asks the helper that it asked
// before.
func (c *configuration) keepCredsStore(next, kept string) error {
	return c.editSettings(func(path, shown string) error {
		switch kept {
		case next:
			c.report("%s: hosts that are not ECR go to %s already (creds_store)", shown, next)
			return nil
		case "":
			c.report("%s: hosts that are not ECR go to %s (creds_store)", shown, next)
		default:
			c.report("%s: hosts that are not ECR go to %s, instead of %s (creds_store)", shown,
				next, kept)
		}
		return config.SetCredsStore(path, next)
	})
}

// undoCredsStore restores the previous credsStore. It removes creds_store from ecr-oidc.yaml last,
// because Docker asks this helper until its own file is written.
func (c *configuration) undoCredsStore(file *dockerconfig.File, was, kept string) error {
	switch {
	case was == "":
		c.report("%s: there is no credsStore", c.path)
		return nil
	case !isSelf(was):
		c.report("%s: credsStore is %s, which stays so", c.path, was)
		return nil
	case kept == "":
		file.SetCredsStore("")
		c.report("%s: Docker no longer asks %s for all hosts (credsStore)", c.path, was)
		return nil
	}
	file.SetCredsStore(kept)
	c.report("%s: Docker asks %s for all hosts, instead of %s (credsStore)", c.path, kept, was)
	file.AfterWrite(func() error {
		return c.editSettings(func(path, _ string) error { return config.SetCredsStore(path, "") })
	})
	return nil
}
