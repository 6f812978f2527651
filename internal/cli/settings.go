package cli

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/atomicfile"
	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/config"
	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/dockerconfig"
)

// writeSettings writes --role, --audience and the like to ecr-oidc.yaml, for the accounts of the
// registries.
func (c *configuration) writeSettings() error {
	var texts []string
	for _, set := range c.settings.NonEmpty() {
		texts = append(texts, strings.ReplaceAll(set.Key, "_", " ")+" "+
			strings.Join(set.Texts, ", then "))
	}
	if len(texts) == 0 && len(c.settings.AllowedAccountIDs) == 0 {
		return nil
	}
	accounts := c.namedAccounts()
	return c.editSettings(func(path, shown string) error {
		for _, account := range accounts {
			who := "account " + account
			if account == "" {
				who = "the public registry"
			}
			if len(texts) > 0 {
				c.report("%s: %s has %s", shown, who, strings.Join(texts, "; "))
			}
		}
		if allowed := c.settings.AllowedAccountIDs; len(allowed) > 0 {
			c.report("%s: accounts allowed: %s", shown, strings.Join(allowed, ", "))
		}
		err := config.SetAccounts(path, accounts, c.settings)
		if err != nil && strings.HasPrefix(err.Error(), "--") { // the value of a flag
			return usageErrorf("configure: %v", err)
		}
		return err
	})
}

// namedAccounts returns the accounts of the registries, each once; "" is the public registry's.
func (c *configuration) namedAccounts() (accounts []string) {
	for _, reg := range c.registries {
		if !slices.Contains(accounts, reg.Account) {
			accounts = append(accounts, reg.Account)
		}
	}
	return accounts
}

// editSettings changes ecr-oidc.yaml under a lock. A dry run changes a copy, so that it fails where
// the edit would.
func (c *configuration) editSettings(change func(path, shown string) error) error {
	path, err := config.FilePath(c.Env, c.dir)
	if err != nil {
		return err
	}
	if seen, err := config.FilePath(c.Env, ""); err == nil && seen != path && !c.remove {
		c.warn("%s is read only where DOCKER_CONFIG names its folder; \"docker --config\" does "+
			"not tell its helpers", path)
	}
	if c.dryRun {
		return rehearse(path, change)
	}
	unlock, err := dockerconfig.Lock(path, lockTimeout)
	if err != nil {
		return fmt.Errorf("writing %s: %w", path, err)
	}
	defer unlock()
	return change(path, path)
}

// rehearse runs change on a copy of the file at path.
func rehearse(path string, change func(path, shown string) error) error {
	target, err := atomicfile.ResolveSymlinks(path)
	if err != nil {
		return fmt.Errorf("writing %s: %w", path, err)
	}
	dir, err := os.MkdirTemp("", "ecr-oidc-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	file := filepath.Join(dir, filepath.Base(path))
	b, _, err := atomicfile.Read(target, config.MaxSize)
	if err == nil {
		err = os.WriteFile(file, b, 0o600)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("reading %s: %w", path, err)
	}
	err = change(file, path)
	if err != nil && strings.Contains(err.Error(), file) {
		err = errors.New(strings.ReplaceAll(err.Error(), file, path))
	}
	return err
}
