package dockerconfig

import (
	"encoding/json"
	"testing"
	"time"
)

// What a host had before it got a helper comes back, and what somebody has changed since stays.
func TestBackup(t *testing.T) {
	ours, other := `"`+host+`":"ecr-oidc"`, `"`+host+`":"ecr-login"`
	login := `"https://` + host + `":{"auth":"QVdTOm9sZA=="}`
	for _, tt := range []struct {
		name, before string
		meanwhile    func(*File)
		want         string
	}{
		{"nothing", `{}`, nil, `{}`},
		{"another helper, in its place", `{"credHelpers":{"a":"b",` + other + `,"c":"d"}}`, nil, `{"credHelpers":{"a":"b",` + other + `,"c":"d"}}`},
		{"a login", `{"auths":{` + login + `},"z":1e400}`, nil, `{"auths":{` + login + `},"z":1e400}`},
		{"a login and another's", `{"auths":{"docker.io":{"auth":"eA=="},` + login + `}}`, nil, `{"auths":{"docker.io":{"auth":"eA=="},` + login + `}}`},
		{"ours already, and so it stays", `{"credHelpers":{` + ours + `}}`, nil, `{"credHelpers":{` + ours + `}}`},
		{"somebody changed the entry since", `{"credHelpers":{` + other + `}}`, func(e *File) { e.SetHelper(host, "third") }, `{"credHelpers":{"` + host + `":"third"}}`},
		{"somebody removed the entry since", `{"credHelpers":{` + other + `},"z":1}`, func(e *File) { e.RemoveHelper(host) }, `{"z":1}`},
		{"somebody logged in since", `{"auths":{` + login + `}}`, func(e *File) {
			e.set(auths, "https://"+host, json.RawMessage(`{"auth":"bmV3"}`))
		}, `{"auths":{"https://` + host + `":{"auth":"bmV3"}}}`},
		{"another host's entry since", `{}`, func(e *File) { e.SetHelper(host2, "ecr-oidc") }, `{"credHelpers":{"` + host2 + `":"ecr-oidc"}}`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			path := put(t, tt.before)
			update := func(change func(*File)) {
				t.Helper()
				if err := Update(path, time.Minute, func(e *File) error { change(e); return nil }); err != nil {
					t.Fatal(err)
				}
			}
			var b Backup
			update(func(e *File) {
				b = e.Backup("ecr-oidc", host)
				e.SetHelper(host, "ecr-oidc")
				e.RemoveLogins(host)
			})
			text, err := json.Marshal(b)
			if err != nil {
				t.Fatal(err)
			}
			if tt.meanwhile != nil {
				update(tt.meanwhile)
			}
			var again Backup // as it comes back from a file
			if err := json.Unmarshal(text, &again); err != nil {
				t.Fatal(err)
			}
			update(func(e *File) { e.Restore(again, "ecr-oidc") })
			if got := compact(t, read(t, path)); got != tt.want {
				t.Errorf("%s came back as %s, want %s", tt.before, got, tt.want)
			}
		})
	}
}

// Two edits of one file, undone in the reverse order, leave it as it was.
func TestBackupTwice(t *testing.T) {
	const before = `{"credHelpers":{"` + host2 + `":"ecr-login"}}`
	path := put(t, before)
	var backups []Backup
	for _, hosts := range [][]string{{host}, {host, host2}} {
		err := Update(path, time.Minute, func(e *File) error {
			backups = append(backups, e.Backup("ecr-oidc", hosts...))
			for _, h := range hosts {
				e.SetHelper(h, "ecr-oidc")
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	for i, want := range []string{`{"credHelpers":{"` + host2 + `":"ecr-login","` + host + `":"ecr-oidc"}}`, before} {
		err := Update(path, time.Minute, func(e *File) error { e.Restore(backups[1-i], "ecr-oidc"); return nil })
		if got := compact(t, read(t, path)); err != nil || got != want {
			t.Errorf("after %d: %s, %v, want %s", i+1, got, err, want)
		}
	}
}
