// Package dockerconfig edits Docker's config.json and loses nothing that is in it.
package dockerconfig

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

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

// SetHelper makes helper the credHelpers entry of each host in the file at path. Everything else stays as it was
// written, in its order: keys that this program does not know, numbers, the file's mode, and a symlink, whose target
// is what changes. A missing file and folder are made, for their owner alone; a file that is not a JSON object is an
// error, and is left alone.
func SetHelper(path, helper string, hosts ...string) error {
	err := edit(path, func(file object) (object, error) {
		var helpers object
		if old := file.get("credHelpers"); !bytes.Equal(old, []byte("null")) {
			if err := helpers.parse(old); err != nil {
				return nil, fmt.Errorf("credHelpers: %w", err)
			}
		}
		changed := false
		for _, host := range hosts {
			if value := quote(helper); !bytes.Equal(helpers.get(host), value) {
				helpers, changed = helpers.set(host, value), true
			}
		}
		if !changed {
			return nil, nil
		}
		return file.set("credHelpers", helpers.bytes()), nil
	})
	if err != nil {
		return fmt.Errorf("editing %s: %w", path, err)
	}
	return nil
}

// edit changes the file at path by change, which returns nil for no change; then nothing is written.
func edit(path string, change func(object) (object, error)) error {
	path = target(path)
	old, err := os.ReadFile(path)
	mode := fs.FileMode(0o600)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			return err
		}
	case err != nil:
		return err
	default:
		fi, err := os.Stat(path)
		if err != nil {
			return err
		}
		mode = fi.Mode().Perm()
	}
	var file object
	if err := file.parse(bytes.TrimSpace(old)); err != nil {
		return err
	}
	if file, err = change(file); file == nil || err != nil {
		return err
	}
	var out bytes.Buffer
	if err := json.Indent(&out, file.bytes(), "", "\t"); err != nil { // a tab, as Docker writes it
		return err
	}
	out.WriteByte('\n')
	return atomicfile.Write(path, out.Bytes(), mode, true)
}

// target follows symlinks at path, also one whose target is still to be made.
func target(path string) string {
	for range 40 {
		link, err := os.Readlink(path)
		if err != nil {
			break
		}
		if !filepath.IsAbs(link) {
			link = filepath.Join(filepath.Dir(path), link)
		}
		path = link
	}
	return path
}

// object is a JSON object as it was written: its members in their order, their values untouched.
type object []member

type member struct {
	key   string
	name  json.RawMessage // the key as it was written
	value json.RawMessage
}

// parse reads an object; nothing at all is an empty one.
func (o *object) parse(b []byte) error {
	*o = nil
	if len(b) == 0 {
		return nil
	}
	d := json.NewDecoder(bytes.NewReader(b))
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return errors.New("it is not a JSON object")
	}
	for d.More() {
		before := d.InputOffset()
		key, err := d.Token()
		if err != nil {
			return fmt.Errorf("it is not JSON: %w", err)
		}
		name := bytes.TrimLeft(b[before:d.InputOffset()], ", \t\r\n")
		var value json.RawMessage
		if err := d.Decode(&value); err != nil {
			return fmt.Errorf("it is not JSON: %w", err)
		}
		*o = append(*o, member{key.(string), name, value}) // an object's keys are strings, or Token fails
	}
	if _, err := d.Token(); err != nil {
		return errors.New("it is not JSON: it ends too early")
	}
	if _, err := d.Token(); err != io.EOF {
		return errors.New("it is not JSON: something follows the object")
	}
	return nil
}

// get returns the value of key; of a key that is there twice the last one, which is the one that Docker obeys.
func (o object) get(key string) json.RawMessage {
	for _, m := range slices.Backward(o) {
		if m.key == key {
			return m.value
		}
	}
	return nil
}

// set returns o with the value of key replaced where it stands, or added at the end.
func (o object) set(key string, value json.RawMessage) object {
	for i, m := range slices.Backward(o) {
		if m.key == key {
			o[i].value = value
			return o
		}
	}
	return append(o, member{key, quote(key), value})
}

func (o object) bytes() json.RawMessage {
	var b bytes.Buffer
	b.WriteByte('{')
	for i, m := range o {
		if i > 0 {
			b.WriteByte(',')
		}
		b.Write(m.name)
		b.WriteByte(':')
		b.Write(m.value)
	}
	b.WriteByte('}')
	return b.Bytes()
}

// quote writes a string as JSON, without the escapes for HTML that would change how it was written.
func quote(s string) json.RawMessage {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(s); err != nil {
		panic(err) // a string always encodes
	}
	return bytes.TrimSpace(b.Bytes())
}
