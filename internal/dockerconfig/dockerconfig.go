// Package dockerconfig edits Docker's config.json, or podman's auth.json, and loses nothing that is in it.
package dockerconfig

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/atomicfile"
)

// Path returns the path of config.json in dir, which is DOCKER_CONFIG or, when empty, ~/.docker.
func Path(dir string) (string, error) {
	if dir == "" {
		home, err := os.UserHomeDir()
		if err != nil {
			return "", fmt.Errorf("finding Docker's configuration: %w", err)
		}
		dir = filepath.Join(home, ".docker")
	}
	return filepath.Join(dir, "config.json"), nil
}

// MaxSize is the limit of the file's size in bytes. It is the same as for the Kubernetes Secret that
// holds such a file. An ECR login takes up to 4 KiB of it.
const MaxSize = 1 << 20

// Read reads the file at path. A missing file is an empty one. A file that is not a JSON object is an
// error that names the place.
func Read(path string) (*File, error) {
	e, _, err := load(path)
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", path, err)
	}
	return e, nil
}

// Update reads the file at path, lets change work on it, and writes it once, under a lock for all
// of that; when nothing was changed, or change returns an error, nothing is written. Everything
// else stays as it was written, in its order: keys that this program does not know, numbers, the
// file's mode and owner, and a symlink, whose target is what changes. A missing file and folder are
// made, for their owner alone; a file that is not a JSON object is an error, and is left alone. It
// blocks for at most wait while another process holds the lock, and then returns an error. It
// follows the symlinks that atomicfile.Target follows.
func Update(path string, wait time.Duration, change func(*File) error) error {
	failed := func(err error) error {
		if err != nil {
			return fmt.Errorf("editing %s: %w", path, err)
		}
		return nil
	}
	file, err := atomicfile.ResolveSymlinks(path)
	if err != nil {
		return failed(err)
	}
	unlock, noLock := Lock(file, wait)
	switch {
	case noLock == nil:
		defer unlock()
	case !errors.As(noLock, new(*fs.PathError)): // another process holds it, or it is a symlink
		return failed(noLock)
	}
	e, old, err := load(file)
	if err != nil {
		return failed(err)
	}
	if err := change(e); err != nil || !e.changed {
		return err
	}
	if noLock != nil { // in a folder that is read-only, say; it matters only now
		return failed(noLock)
	}
	if err := save(file, e, old); err != nil {
		return failed(err)
	}
	for _, f := range e.after {
		if err := f(); err != nil {
			return err
		}
	}
	return nil
}

func save(path string, e *File, old fs.FileInfo) error {
	var out bytes.Buffer
	if err := json.Indent(&out, e.file.bytes(), "", "\t"); err != nil { // a tab, as Docker writes it
		return err
	}
	out.WriteByte('\n')
	if out.Len() > MaxSize { // it could not be read again
		return fmt.Errorf("it would be larger than %d MiB", MaxSize>>20)
	}
	if old == nil {
		return atomicfile.Write(path, out.Bytes(), 0o600)
	}
	return atomicfile.Replace(path, out.Bytes(), old)
}

// load returns the file and what it is; nil for one that is missing.
func load(path string) (*File, fs.FileInfo, error) {
	b, fi, err := atomicfile.Read(path, MaxSize)
	if errors.Is(err, fs.ErrNotExist) {
		return &File{}, nil, nil
	}
	if err != nil {
		return nil, nil, err
	}
	e, err := parse(b)
	return e, fi, err
}
