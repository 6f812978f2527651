package dockerconfig

import (
	"encoding/json"
	"maps"
	"slices"

	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/registry"
)

// Backup is what the file said of some hosts before they got a helper. It may hold passwords.
type Backup struct {
	Helpers map[string]string          `json:"helpers"` // the credHelpers entry of each host; "" is none
	Logins  map[string]json.RawMessage `json:"auths,omitempty"`
}

// Backup returns what SetHelper and RemoveAuth are about to replace for hosts. Of a host whose
// helper this is already there is nothing to keep.
func (e *File) Backup(helper string, hosts ...string) Backup {
	b := Backup{Helpers: map[string]string{}, Logins: map[string]json.RawMessage{}}
	for _, host := range hosts {
		if old := e.Helper(host); old != helper {
			b.Helpers[host] = old
		}
	}
	for m := range e.section(auths) {
		if reg, ok := registry.Parse(m.key); ok && slices.Contains(hosts, reg.Host) && m.login() {
			b.Logins[m.key] = m.value
		}
	}
	return b
}

// Restore puts back what b holds, where nobody has changed it since: an entry that still names
// helper, and a login that is not there. It returns the hosts whose entries, and the keys of the
// logins that, it put back.
func (e *File) Restore(b Backup, helper string) (hosts, logins []string) {
	for _, host := range slices.Sorted(maps.Keys(b.Helpers)) {
		if e.Helper(host) != helper {
			continue
		}
		if old := b.Helpers[host]; old == "" {
			e.RemoveHelper(host)
		} else {
			e.SetHelper(host, old)
		}
		hosts = append(hosts, host)
	}
	there := map[string]bool{}
	for _, key := range e.Logins() {
		there[key] = true
	}
	for _, key := range slices.Sorted(maps.Keys(b.Logins)) {
		if !there[key] {
			e.set(auths, key, b.Logins[key])
			logins = append(logins, key)
		}
	}
	return hosts, logins
}

// Empty says whether nothing is in the file.
func (e *File) Empty() bool { return len(e.file) == 0 }
