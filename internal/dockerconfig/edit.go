package dockerconfig

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/registry"
)

// File is a configuration as it was read, and what is changed in it. Changes are in memory until
// Update writes them.
type File struct {
	file    object
	changed bool
	after   []func() error
}

// AfterWrite has f called once the file is written, under its lock still.
func (e *File) AfterWrite(f func() error) { e.after = append(e.after, f) }

// The fields that this program reads and changes.
const (
	credHelpers = "credHelpers"
	auths       = "auths"
	credsStore  = "credsStore"
)

// parse reads a file's text. A field of another type than Docker's is an error, as it is for Docker.
func parse(b []byte) (*File, error) {
	e := &File{}
	if len(bytes.TrimSpace(b)) == 0 { // Docker takes an empty file for an empty configuration
		return e, nil
	}
	if err := check(b); err != nil {
		return nil, err
	}
	if b = bytes.TrimSpace(b); b[0] != '{' {
		return nil, errors.New("it is not a JSON object")
	}
	if err := e.file.parse(b); err != nil {
		return nil, err
	}
	for i, m := range e.file {
		if m.has(credHelpers) || m.has(auths) {
			if err := e.file[i].inner.parse(m.value); err != nil {
				return nil, fmt.Errorf("%s: %w", m.key, err)
			}
		}
		if m.has(credsStore) && string(m.value) != "null" && m.value[0] != '"' {
			return nil, fmt.Errorf("%s: it is not a string", m.key)
		}
	}
	return e, nil
}

// Helpers returns credHelpers: which helper is asked for which host.
func (e *File) Helpers() map[string]string {
	found := map[string]string{}
	for m := range e.section(credHelpers) {
		found[m.key] = m.text()
	}
	return found
}

// Helper returns the credHelpers entry of host; "" is none.
func (e *File) Helper(host string) (name string) {
	for m := range e.section(credHelpers) {
		if m.key == host {
			name = m.text() // the last one counts
		}
	}
	return name
}

// SetHelper makes helper the credHelpers entry of host and returns the one that was there.
func (e *File) SetHelper(host, helper string) (old string) {
	old = e.Helper(host)
	if old == helper {
		return old
	}
	e.set(credHelpers, host, quote(helper))
	return old
}

// RemoveHelper takes host's credHelpers entry away and returns the helper that it named.
func (e *File) RemoveHelper(host string) (old string) {
	old = e.Helper(host)
	if e.remove(credHelpers, func(m member) bool { return m.key == host }) {
		e.file = slices.DeleteFunc(e.file, func(m member) bool { // Docker, too, writes no empty one
			return m.has(credHelpers) && len(m.inner) == 0
		})
	}
	return old
}

// Logins returns the auths keys that hold a login. An empty entry holds none: Docker writes one for
// each login that a helper keeps.
func (e *File) Logins() []string {
	var found []string
	seen := map[string]bool{}
	for m := range e.section(auths) {
		if !seen[m.key] && m.login() {
			found = append(found, m.key)
			seen[m.key] = true
		}
	}
	return found
}

// RemoveLogins removes the logins that auths holds for an ECR host, and returns their keys, which
// clients have written in many ways: a host, with a port, with a scheme, with a path.
func (e *File) RemoveLogins(host string) []string {
	var removed []string
	seen := map[string]bool{}
	e.remove(auths, func(m member) bool {
		reg, ok := registry.Parse(m.key)
		if !ok || reg.Host != host || !m.login() {
			return false
		}
		if !seen[m.key] {
			removed = append(removed, m.key)
			seen[m.key] = true
		}
		return true
	})
	return removed
}

// CredsStore returns the helper that is asked for all hosts without one of their own; "" is none.
func (e *File) CredsStore() (name string) {
	for _, m := range e.file {
		if m.has(credsStore) && string(m.value) != "null" {
			name = m.text() // the last one counts
		}
	}
	return name
}

// SetCredsStore changes that; "" removes it.
func (e *File) SetCredsStore(name string) {
	if e.CredsStore() == name {
		return
	}
	e.changed = true
	if name == "" {
		e.file = slices.DeleteFunc(e.file, func(m member) bool { return m.has(credsStore) })
		return
	}
	found := false
	for i, m := range e.file {
		if m.has(credsStore) {
			e.file[i].value, found = quote(name), true
		}
	}
	if !found {
		e.file = e.file.set(credsStore, quote(name))
	}
}

// section walks through all members of the objects that are read as one field.
func (e *File) section(name string) func(yield func(member) bool) {
	return func(yield func(member) bool) {
		for _, m := range e.file {
			if !m.has(name) {
				continue
			}
			for _, in := range m.inner {
				if !yield(in) {
					return
				}
			}
		}
	}
}

// remove takes the members that match out of a section, and says whether there were any.
func (e *File) remove(name string, match func(member) bool) (found bool) {
	for i, m := range e.file {
		if !m.has(name) {
			continue
		}
		if rest := slices.DeleteFunc(slices.Clone(m.inner), match); len(rest) != len(m.inner) {
			e.replace(i, rest)
			found = true
		}
	}
	return found
}

// set puts a member into a section, which is made where it is missing.
func (e *File) set(section, key string, value json.RawMessage) {
	last := -1 // the one that counts
	for i, m := range e.file {
		if m.has(section) {
			last = i
		}
	}
	if last < 0 {
		last = len(e.file)
		e.file = e.file.set(section, nil)
	}
	e.replace(last, e.file[last].inner.set(key, value))
}

// replace changes what is in the i-th field.
func (e *File) replace(i int, inner object) {
	e.file[i].inner, e.file[i].value, e.changed = inner, nil, true
}

// login says whether an auths entry holds anything.
func (m member) login() bool {
	var o object
	return o.parse(m.value) != nil || len(o) > 0
}
