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

// writeSettings writes --role, --source and the other settings to ecr-oidc.yaml, for the accounts
// of the registries.
func (c *configureCommand) writeSettings() error {
	var texts []string
	for _, setting := range c.settings.NonEmpty() {
		texts = append(texts, strings.ReplaceAll(setting.Key, "_", " ")+" "+
			strings.Join(setting.Texts, ", then "))
	}
	if len(texts) == 0 && len(c.settings.AllowedAccountIDs) == 0 {
		return nil
	}
	accounts := c.registryAccounts()
	return c.editSettings(func(path, displayPath string) error {
		for _, account := range accounts {
			if len(texts) > 0 {
				c.addLine("%s: set for %s: %s", displayPath, accountName(account),
					strings.Join(texts, "; "))
			}
		}
		if allowed := c.settings.AllowedAccountIDs; len(allowed) > 0 {
			c.addLine("%s: allowed accounts: %s", displayPath, strings.Join(allowed, ", "))
		}
		err := config.SetAccounts(path, accounts, c.settings)
		if err != nil && strings.HasPrefix(err.Error(), "--") { // an invalid value of a flag
			return usageErrorf("configure: %v", err)
		}
		return err
	})
}

// registryAccounts returns the accounts of the registries, each once. The account of the public
// registry is "".
func (c *configureCommand) registryAccounts() (accounts []string) {
	for _, reg := range c.registries {
		if !slices.Contains(accounts, reg.Account) {
			accounts = append(accounts, reg.Account)
		}
	}
	return accounts
}

// accountName returns the name of an account in messages. The account "" is the public registry.
func accountName(account string) string {
	if account == "" {
		return "the public registry"
	}
	return "account " + account
}

// editSettings calls change with the path of ecr-oidc.yaml while it holds the file's lock. In a dry
// run the path is that of a copy, so that change returns the same errors. displayPath is always the
// path of ecr-oidc.yaml.
func (c *configureCommand) editSettings(change func(path, displayPath string) error) error {
	path, err := config.FilePath(c.Env, c.dockerConfigDir)
	if err != nil {
		return err
	}
	defaultPath, err := config.FilePath(c.Env, "")
	if err == nil && defaultPath != path && !c.remove {
		c.warn("%s is used only if DOCKER_CONFIG names its directory; \"docker --config\" does "+
			"not pass that directory to credential helpers", path)
	}
	if c.dryRun {
		return changeCopy(path, change)
	}
	unlock, err := dockerconfig.Lock(path, lockTimeout)
	if err != nil {
		return fmt.Errorf("writing %s: %w", path, err)
	}
	defer unlock()
	return change(path, path)
}

// changeCopy calls change with the path of a temporary copy of the file. Errors contain the path of
// the file itself.
func changeCopy(path string, change func(path, displayPath string) error) error {
	target, err := atomicfile.ResolveSymlinks(path)
	if err != nil {
		return fmt.Errorf("writing %s: %w", path, err)
	}
	dir, err := os.MkdirTemp("", "ecr-oidc-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	tempPath := filepath.Join(dir, filepath.Base(path))
	b, _, err := atomicfile.Read(target, config.MaxSize)
	if err == nil {
		err = os.WriteFile(tempPath, b, 0o600)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("reading %s: %w", path, err)
	}
	err = change(tempPath, path)
	if err != nil && strings.Contains(err.Error(), tempPath) {
		err = errors.New(strings.ReplaceAll(err.Error(), tempPath, path))
	}
	return err
}
