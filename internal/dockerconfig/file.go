package dockerconfig

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/registry"
)

// File is the content of a configuration file. Its methods change it in memory; only Update writes
// it.
type File struct {
	fields     object
	changed    bool
	afterWrite []func() error
}

// AfterWrite registers a function that Update calls after it has written the file, while it still
// holds the lock. Update does not call it if nothing was changed.
func (f *File) AfterWrite(fn func() error) { f.afterWrite = append(f.afterWrite, fn) }

// The fields that the helper reads and changes.
const (
	credHelpers = "credHelpers"
	auths       = "auths"
	credsStore  = "credsStore"
)

// parse parses the text of a file. It is an error if a field does not have the type that Docker
// expects, because Docker does not read such a file either.
func parse(b []byte) (*File, error) {
	f := &File{}
	if len(bytes.TrimSpace(b)) == 0 { // Docker accepts an empty file as an empty configuration
		return f, nil
	}
	if err := checkSyntax(b); err != nil {
		return nil, err
	}
	if b = bytes.TrimSpace(b); b[0] != '{' {
		return nil, errors.New("it is not a JSON object")
	}
	if err := f.fields.parse(b); err != nil {
		return nil, err
	}
	for i, m := range f.fields {
		if m.isField(credHelpers) || m.isField(auths) {
			if err := f.fields[i].object.parse(m.value); err != nil {
				return nil, fmt.Errorf("%s: %w", m.key, err)
			}
		}
		if m.isField(credsStore) && string(m.value) != "null" && m.value[0] != '"' {
			return nil, fmt.Errorf("%s: it is not a string", m.key)
		}
	}
	return f, nil
}

// Helpers returns credHelpers: the name of the helper for each host.
func (f *File) Helpers() map[string]string {
	found := map[string]string{}
	for m := range f.entries(credHelpers) {
		found[m.key] = m.text()
	}
	return found
}

// Helper returns the credHelpers entry of host, or "" if there is none.
func (f *File) Helper(host string) (name string) {
	for m := range f.entries(credHelpers) {
		if m.key == host {
			name = m.text() // Docker uses the last of several entries
		}
	}
	return name
}

// SetHelper sets the credHelpers entry of host and returns the previous entry.
func (f *File) SetHelper(host, helper string) (old string) {
	old = f.Helper(host)
	if old == helper {
		return old
	}
	f.set(credHelpers, host, quote(helper))
	return old
}

// RemoveHelper removes the credHelpers entry of host and returns its previous value.
func (f *File) RemoveHelper(host string) (old string) {
	old = f.Helper(host)
	if f.remove(credHelpers, func(m member) bool { return m.key == host }) {
		// Docker does not write an empty credHelpers either.
		f.fields = slices.DeleteFunc(f.fields, func(m member) bool {
			return m.isField(credHelpers) && len(m.object) == 0
		})
	}
	return old
}

// Logins returns the keys of auths that contain a login. Docker writes an empty entry for each login
// that a helper stores; Logins does not return those.
func (f *File) Logins() []string {
	var found []string
	seen := map[string]bool{}
	for m := range f.entries(auths) {
		if !seen[m.key] && m.isLogin() {
			found = append(found, m.key)
			seen[m.key] = true
		}
	}
	return found
}

// RemoveLogins removes the logins in auths for an ECR host and returns their keys. Clients use
// different keys for the same host: with or without a scheme, a port and a path.
func (f *File) RemoveLogins(host string) []string {
	var removed []string
	seen := map[string]bool{}
	f.remove(auths, func(m member) bool {
		reg, ok := registry.Parse(m.key)
		if !ok || reg.Host != host || !m.isLogin() {
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

// CredsStore returns the helper for the hosts without a credHelpers entry, or "" if there is none.
func (f *File) CredsStore() (name string) {
	for _, m := range f.fields {
		if m.isField(credsStore) && string(m.value) != "null" {
			name = m.text() // Docker uses the last of several fields
		}
	}
	return name
}

// SetCredsStore sets the helper for the hosts without a credHelpers entry. If name is "", it removes
// the field.
func (f *File) SetCredsStore(name string) {
	if f.CredsStore() == name {
		return
	}
	f.changed = true
	if name == "" {
		f.fields = slices.DeleteFunc(f.fields,
			func(m member) bool { return m.isField(credsStore) })
		return
	}
	found := false
	for i, m := range f.fields {
		if m.isField(credsStore) {
			f.fields[i].value, found = quote(name), true
		}
	}
	if !found {
		f.fields = f.fields.set(credsStore, quote(name))
	}
}

// entries iterates over the entries of a field. A field that occurs several times has the entries of
// all its occurrences.
func (f *File) entries(field string) func(yield func(member) bool) {
	return func(yield func(member) bool) {
		for _, m := range f.fields {
			if !m.isField(field) {
				continue
			}
			for _, entry := range m.object {
				if !yield(entry) {
					return
				}
			}
		}
	}
}

// remove removes the entries of a field that match. It reports whether there were any.
func (f *File) remove(field string, match func(member) bool) (found bool) {
	for i, m := range f.fields {
		if !m.isField(field) {
			continue
		}
		rest := slices.DeleteFunc(slices.Clone(m.object), match)
		if len(rest) != len(m.object) {
			f.replace(i, rest)
			found = true
		}
	}
	return found
}

// set sets an entry of a field. It adds the field if it is missing.
func (f *File) set(field, key string, value json.RawMessage) {
	last := -1 // Docker prefers the last occurrence of the field
	for i, m := range f.fields {
		if m.isField(field) {
			last = i
		}
	}
	if last < 0 {
		last = len(f.fields)
		f.fields = f.fields.set(field, nil)
	}
	f.replace(last, f.fields[last].object.set(key, value))
}

// replace replaces the object of the i-th field.
func (f *File) replace(i int, o object) {
	f.fields[i].object, f.fields[i].value, f.changed = o, nil, true
}

// isLogin reports whether an entry of auths contains a login.
func (m member) isLogin() bool {
	var o object
	return o.parse(m.value) != nil || len(o) > 0
}
