// Package dockerconfig edits Docker's config.json and Podman's auth.json. It preserves what it does
// not edit.
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

// MaxSize is the maximum size of the file in bytes. It is the maximum size of a Kubernetes Secret,
// which often contains such a file. An ECR login takes up to 4 KiB.
const MaxSize = 1 << 20

// Path returns the path of config.json in dir, which is the value of DOCKER_CONFIG. If dir is "", it
// returns the path in ~/.docker.
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

// Read reads the file at path. It returns an empty File if the file does not exist. If the file is
// not JSON, the error names the line and the column.
func Read(path string) (*File, error) {
	f, _, err := load(path)
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", path, err)
	}
	return f, nil
}

// Update reads the file at path, calls change, and writes the file if change has edited it. If change
// returns an error, Update returns that error and writes nothing. After writing, it calls the
// functions that change has passed to AfterWrite.
//
// Update preserves what change does not edit: unknown keys, the order of keys, the format of values,
// and the file's mode and owner. It creates a missing file and a missing directory, both accessible
// only to the user. If path contains symlinks, it edits the file that they point to; see
// atomicfile.ResolveSymlinks. It does not change a file that is not a JSON object, and returns an
// error.
//
// Several processes may call Update at the same time: each holds the lock from reading to writing.
// Update blocks for at most lockTimeout while another process holds the lock, and then returns an
// error.
func Update(path string, lockTimeout time.Duration, change func(*File) error) error {
	wrap := func(err error) error {
		if err != nil {
			return fmt.Errorf("editing %s: %w", path, err)
		}
		return nil
	}
	target, err := atomicfile.ResolveSymlinks(path)
	if err != nil {
		return wrap(err)
	}
	unlock, lockErr := Lock(target, lockTimeout)
	switch {
	case lockErr == nil:
		defer unlock()
	case !errors.As(lockErr, new(*fs.PathError)): // another process holds it, or it is a symlink
		return wrap(lockErr)
	}
	f, old, err := load(target)
	if err != nil {
		return wrap(err)
	}
	if err := change(f); err != nil || !f.changed {
		return err
	}
	// In a read-only directory, the lock file cannot be created. That is an error only if the file
	// has to be written.
	if lockErr != nil {
		return wrap(lockErr)
	}
	if err := save(target, f, old); err != nil {
		return wrap(err)
	}
	for _, fn := range f.afterWrite {
		if err := fn(); err != nil {
			return err
		}
	}
	return nil
}

// load reads the file at path. If the file does not exist, it returns an empty File and a nil
// FileInfo.
func load(path string) (*File, fs.FileInfo, error) {
	b, fi, err := atomicfile.Read(path, MaxSize)
	if errors.Is(err, fs.ErrNotExist) {
		return &File{}, nil, nil
	}
	if err != nil {
		return nil, nil, err
	}
	f, err := parse(b)
	return f, fi, err
}

// save writes the file at path. old describes the current file; it is nil if there is none.
func save(path string, f *File, old fs.FileInfo) error {
	var out bytes.Buffer
	// Docker also indents with tabs.
	if err := json.Indent(&out, f.fields.bytes(), "", "\t"); err != nil {
		return err
	}
	out.WriteByte('\n')
	if out.Len() > MaxSize { // a larger file could not be read again
		return fmt.Errorf("it would be larger than %d MiB", MaxSize>>20)
	}
	if old == nil {
		return atomicfile.Write(path, out.Bytes(), 0o600)
	}
	return atomicfile.Replace(path, out.Bytes(), old)
}
