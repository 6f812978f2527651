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

// backup is what --backup keeps and --restore puts back.
type backup struct {
	dockerconfig.Backup
	New bool `json:"new,omitempty"` // there was no file
}

// writeBackup writes what is about to be replaced. It comes before the change: if this process ends
// between the two, a restore finds nothing to put back.
func (c *configuration) writeBackup(file *dockerconfig.File) error {
	var hosts []string
	for _, reg := range c.registries {
		hosts = append(hosts, reg.Host)
	}
	b := backup{Backup: file.Backup(name, hosts...)}
	if _, err := os.Stat(c.path); errors.Is(err, fs.ErrNotExist) {
		b.New = true
	}
	// The first backup is the one that counts: a second one in its place would hold our own
	// entries.
	if _, err := os.Lstat(c.backup); !errors.Is(err, fs.ErrNotExist) {
		if err == nil {
			err = errors.New("it is there already; name a new file")
		}
		return fmt.Errorf("writing the backup %s: %w", c.backup, err)
	}
	text, err := json.MarshalIndent(b, "", "\t")
	if err == nil && len(text) >= dockerconfig.MaxSize { // it could not be read again
		err = fmt.Errorf("it would be larger than %d MiB", dockerconfig.MaxSize>>20)
	}
	if err == nil && !c.dryRun {
		err = atomicfile.Write(c.backup, append(text, '\n'), 0o600)
	}
	if err != nil {
		return fmt.Errorf("writing the backup %s: %w", c.backup, err)
	}
	c.report("%s: keeps what was there", c.backup)
	return nil
}

// restoreBackup restores what the backup has, except for what has changed since.
func (c *configuration) restoreBackup(file *dockerconfig.File) error {
	text, _, err := atomicfile.Read(c.restore, dockerconfig.MaxSize)
	if errors.As(err, new(*fs.PathError)) { // it names the file
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
	hosts, logins := file.Restore(b.Backup, name)
	for _, host := range hosts {
		if old := b.Helpers[host]; old != "" {
			c.report("%s: %s asks %s for %s again", c.path, c.client, old, host)
		} else {
			c.report("%s: %s no longer asks %s for %s", c.path, c.client, name, host)
		}
	}
	for _, key := range logins {
		c.report("%s: put back the login for %q in auths", c.path, key)
	}
	if len(hosts)+len(logins) == 0 {
		c.report("%s: there is nothing to put back", c.path)
	}
	if b.New && file.Empty() {
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
