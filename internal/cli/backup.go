package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/atomicfile"
	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/dockerconfig"
)

// backup is the content of the file that --backup writes and --restore reads.
type backup struct {
	dockerconfig.Backup
	NewFile bool `json:"new,omitempty"` // Docker's file did not exist
}

// writeBackup writes the entries that configure is about to replace. It runs before the change: if
// the process ends between the two, a restore finds nothing to restore.
func (c *configureCommand) writeBackup(file *dockerconfig.File) error {
	var hosts []string
	for _, reg := range c.registries {
		hosts = append(hosts, reg.Host)
	}
	b := backup{Backup: file.Backup(helperName, hosts...)}
	if _, err := os.Stat(c.path); errors.Is(err, fs.ErrNotExist) {
		b.NewFile = true
	}
	// An existing backup is not overwritten: a second one would not contain the previous entries.
	if _, err := os.Lstat(c.backup); !errors.Is(err, fs.ErrNotExist) {
		if err == nil {
			err = errors.New("the file already exists; name a new file")
		}
		return fmt.Errorf("writing the backup %s: %w", c.backup, err)
	}
	text, err := json.MarshalIndent(b, "", "\t")
	if err == nil && len(text) >= dockerconfig.MaxSize { // restoreBackup would not read it
		err = fmt.Errorf("it would be larger than %d MiB", dockerconfig.MaxSize>>20)
	}
	if err == nil && !c.dryRun {
		err = atomicfile.Write(c.backup, append(text, '\n'), 0o600)
	}
	if err != nil {
		return fmt.Errorf("writing the backup %s: %w", c.backup, err)
	}
	c.addLine("%s: saved the previous entries", c.backup)
	return nil
}

// restoreBackup restores the entries of the backup, except those that have changed since.
func (c *configureCommand) restoreBackup(file *dockerconfig.File) error {
	text, _, err := atomicfile.Read(c.restore, dockerconfig.MaxSize)
	if errors.As(err, new(*fs.PathError)) { // the error contains the path
		return fmt.Errorf("reading the backup: %w", err)
	}
	if err != nil {
		return fmt.Errorf("reading the backup %s: %w", c.restore, err)
	}
	var b backup
	if err := json.Unmarshal(text, &b); err != nil || b.Helpers == nil {
		return fmt.Errorf("reading the backup %s: it was not written by configure --backup",
			c.restore)
	}
	hosts, logins := file.Restore(b.Backup, helperName)
	for _, host := range hosts {
		if previous := b.Helpers[host]; previous != "" {
			c.addLine("%s: %s uses %s for %s again", c.path, c.client, previous, host)
		} else {
			c.addLine("%s: %s no longer uses %s for %s", c.path, c.client, helperName, host)
		}
	}
	for _, key := range logins {
		c.addLine("%s: restored the login for %q in auths", c.path, key)
	}
	if len(hosts)+len(logins) == 0 {
		c.addLine("%s: there is nothing to restore", c.path)
	}
	if b.NewFile && file.Empty() {
		file.AfterWrite(func() error {
			target, err := atomicfile.ResolveSymlinks(c.path)
			if err != nil {
				return fmt.Errorf("removing %s: %w", c.path, err)
			}
			return os.Remove(target)
		})
	}
	return nil
}
