package dockerconfig

import (
	"encoding/json"
	"maps"
	"slices"

	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/registry"
)

// Backup contains the entries that configure replaces or removes. It may contain passwords.
type Backup struct {
	Helpers map[string]string          `json:"helpers"` // credHelpers entries by host; "" if none
	Logins  map[string]json.RawMessage `json:"auths,omitempty"`
}

// Backup returns the entries that SetHelper and RemoveLogins would replace or remove for hosts. It
// does not contain the credHelpers entry of a host that already has this helper.
func (f *File) Backup(helper string, hosts ...string) Backup {
	b := Backup{Helpers: map[string]string{}, Logins: map[string]json.RawMessage{}}
	for _, host := range hosts {
		if old := f.Helper(host); old != helper {
			b.Helpers[host] = old
		}
	}
	for m := range f.entries(auths) {
		reg, ok := registry.Parse(m.key)
		if ok && slices.Contains(hosts, reg.Host) && m.isLogin() {
			b.Logins[m.key] = m.value
		}
	}
	return b
}

// Restore restores the entries of a backup that were not changed since: a credHelpers entry that
// still names helper, and a login that is still missing. It returns the hosts of the restored
// credHelpers entries and the keys of the restored logins.
func (f *File) Restore(b Backup, helper string) (hosts, logins []string) {
	for _, host := range slices.Sorted(maps.Keys(b.Helpers)) {
		if f.Helper(host) != helper {
			continue
		}
		if old := b.Helpers[host]; old == "" {
			f.RemoveHelper(host)
		} else {
			f.SetHelper(host, old)
		}
		hosts = append(hosts, host)
	}
	current := map[string]bool{}
	for _, key := range f.Logins() {
		current[key] = true
	}
	for _, key := range slices.Sorted(maps.Keys(b.Logins)) {
		if !current[key] {
			f.set(auths, key, b.Logins[key])
			logins = append(logins, key)
		}
	}
	return hosts, logins
}

// Empty reports whether the file has no fields.
func (f *File) Empty() bool { return len(f.fields) == 0 }
