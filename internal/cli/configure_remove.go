package cli

import (
	"os"
	"slices"
	"strings"

	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/config"
	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/dockerconfig"
)

// removeHelpers removes the entries of this helper from credHelpers.
func (c *configureCommand) removeHelpers(file *dockerconfig.File) {
	removed := false
	for _, reg := range c.registries {
		switch current := file.Helper(reg.Host); current {
		case helperName:
			file.RemoveHelper(reg.Host)
			removed = true
			c.addLine("%s: %s no longer uses %s for %s", c.path, c.client, helperName, reg.Host)
		case "":
			c.addLine("%s: %s does not use %s for %s", c.path, c.client, helperName, reg.Host)
		default:
			c.addLine("%s: unchanged: %s uses %s for %s", c.path, c.client, current, reg.Host)
		}
	}
	if removed {
		c.addLine("%s: not restored: helpers and logins that configure replaced; to restore them "+
			"from a backup: configure --restore", c.path)
	}
}

// findRemainingEntries sets c.remaining to the entries of the edited file that still name this helper.
// Podman and Docker share ecr-oidc.yaml, so with --authfile it also reads Docker's file.
func (c *configureCommand) findRemainingEntries(file *dockerconfig.File) {
	files := []*dockerconfig.File{file}
	if c.authfile != "" {
		path, err := dockerconfig.Path(c.Env.Get("DOCKER_CONFIG"))
		if docker, readErr := dockerconfig.Read(path); err == nil && readErr == nil {
			files = append(files, docker)
		}
	}
	for _, f := range files {
		if isSelf(f.CredsStore()) {
			c.remaining = append(c.remaining, helperEntry{name: "Docker's credsStore", all: true})
		}
		for _, reg := range f.Registries(helperName) {
			c.remaining = append(c.remaining, helperEntry{name: reg.Host, account: reg.Account})
		}
	}
}

// helperEntry is an entry of Docker's or Podman's file that names this helper.
type helperEntry struct {
	name    string
	account string
	all     bool // it uses the settings of all accounts
}

// removeSettings removes the settings that configure wrote to ecr-oidc.yaml for the accounts of the
// registries. It keeps the settings of an account if another of its registries uses this helper. If
// there is nothing to remove, it does not create or lock the file.
func (c *configureCommand) removeSettings() error {
	path, err := config.FilePath(c.Env, c.dockerConfigDir)
	if err != nil {
		return err
	}
	var unused []string
	for _, account := range c.registryAccounts() {
		entry := c.remainingEntry(account)
		if entry == "" {
			unused = append(unused, account)
			continue
		}
		plan, err := config.PlanRemoval(path, []string{account})
		if err != nil {
			return err
		}
		if len(plan) > 0 {
			c.addLine("%s: unchanged: the settings of %s, which %s uses", path,
				accountName(account), entry)
		}
	}
	plan, err := config.PlanRemoval(path, unused)
	if err != nil {
		return err
	}
	if !slices.ContainsFunc(plan, func(r config.Removal) bool { return len(r.Removed) > 0 }) {
		c.reportRemovals(path, plan)
		return nil
	}
	return c.editSettings(func(path, displayPath string) error {
		if err := config.RemoveAccounts(path, plan); err != nil {
			return err
		}
		c.reportRemovals(displayPath, plan)
		return c.deleteEmptySettings(path, displayPath)
	})
}

// remainingEntry returns the name of an entry that uses the settings of an account, or "" if there is
// none.
func (c *configureCommand) remainingEntry(account string) string {
	for _, e := range c.remaining {
		if e.all || e.account == account {
			return e.name
		}
	}
	return ""
}

func (c *configureCommand) reportRemovals(path string, plan []config.Removal) {
	for _, r := range plan {
		if len(r.Removed) > 0 {
			c.addLine("%s: removed %s of %s", path, strings.Join(r.Removed, ", "),
				accountName(r.Account))
		}
		if len(r.Kept) > 0 {
			c.addLine("%s: unchanged: %s of %s", path, strings.Join(r.Kept, ", "),
				accountName(r.Account))
		}
	}
}

// deleteEmptySettings deletes ecr-oidc.yaml at path if it is empty. It keeps a symlink, and a file that
// ECR_OIDC_CONFIG names, because the helper then requires the file.
func (c *configureCommand) deleteEmptySettings(path, displayPath string) error {
	fi, err := os.Lstat(path)
	if err != nil || !fi.Mode().IsRegular() || fi.Size() > 0 || c.Env.Get("ECR_OIDC_CONFIG") != "" {
		return nil
	}
	c.addLine("%s: deleted the file, which had no other settings", displayPath)
	return os.Remove(path)
}
