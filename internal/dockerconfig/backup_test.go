package dockerconfig

import (
	"encoding/json"
	"testing"
	"time"
)

// Restore restores the entries of a host, except for those that were changed after the backup.
func TestBackup(t *testing.T) {
	entry, oldEntry := `"`+host+`":"ecr-oidc"`, `"`+host+`":"ecr-login"`
	login := `"https://` + host + `":{"auth":"QVdTOm9sZA=="}`
	for _, tt := range []struct {
		name, before string
		afterBackup  func(*File)
		want         string
	}{
		{"nothing", `{}`, nil, `{}`},
		{"another helper, in the same position",
			`{"credHelpers":{"a":"b",` + oldEntry + `,"c":"d"}}`, nil,
			`{"credHelpers":{"a":"b",` + oldEntry + `,"c":"d"}}`},
		{"a login", `{"auths":{` + login + `},"z":1e400}`, nil,
			`{"auths":{` + login + `},"z":1e400}`},
		{"a login beside another login",
			`{"auths":{"docker.io":{"auth":"eA=="},` + login + `}}`, nil,
			`{"auths":{"docker.io":{"auth":"eA=="},` + login + `}}`},
		{"this helper already", `{"credHelpers":{` + entry + `}}`, nil,
			`{"credHelpers":{` + entry + `}}`},
		{"entry changed since", `{"credHelpers":{` + oldEntry + `}}`,
			func(f *File) { f.SetHelper(host, "third") },
			`{"credHelpers":{"` + host + `":"third"}}`},
		{"entry removed since", `{"credHelpers":{` + oldEntry + `},"z":1}`,
			func(f *File) { f.RemoveHelper(host) }, `{"z":1}`},
		{"login added since", `{"auths":{` + login + `}}`, func(f *File) {
			f.set(auths, "https://"+host, json.RawMessage(`{"auth":"bmV3"}`))
		}, `{"auths":{"https://` + host + `":{"auth":"bmV3"}}}`},
		{"entry of another host added since", `{}`,
			func(f *File) { f.SetHelper(host2, "ecr-oidc") },
			`{"credHelpers":{"` + host2 + `":"ecr-oidc"}}`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			path := writeConfig(t, tt.before)
			update := func(change func(*File)) {
				t.Helper()
				err := Update(path, time.Minute, func(f *File) error {
					change(f)
					return nil
				})
				if err != nil {
					t.Fatal(err)
				}
			}
			var b Backup
			update(func(f *File) {
				b = f.Backup("ecr-oidc", host)
				f.SetHelper(host, "ecr-oidc")
				f.RemoveLogins(host)
			})
			text, err := json.Marshal(b)
			if err != nil {
				t.Fatal(err)
			}
			if tt.afterBackup != nil {
				update(tt.afterBackup)
			}
			var decoded Backup
			if err := json.Unmarshal(text, &decoded); err != nil {
				t.Fatal(err)
			}
			update(func(f *File) { f.Restore(decoded, "ecr-oidc") })
			if got := compact(t, readFile(t, path)); got != tt.want {
				t.Errorf("%s was restored as %s, want %s", tt.before, got, tt.want)
			}
		})
	}
}

// Two backups that are restored in the reverse order restore the original file.
func TestBackupTwice(t *testing.T) {
	const before = `{"credHelpers":{"` + host2 + `":"ecr-login"}}`
	path := writeConfig(t, before)
	var backups []Backup
	for _, hosts := range [][]string{{host}, {host, host2}} {
		err := Update(path, time.Minute, func(f *File) error {
			backups = append(backups, f.Backup("ecr-oidc", hosts...))
			for _, h := range hosts {
				f.SetHelper(h, "ecr-oidc")
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	for i, want := range []string{
		`{"credHelpers":{"` + host2 + `":"ecr-login","` + host + `":"ecr-oidc"}}`,
		before,
	} {
		err := Update(path, time.Minute,
			func(f *File) error { f.Restore(backups[1-i], "ecr-oidc"); return nil })
		if got := compact(t, readFile(t, path)); err != nil || got != want {
			t.Errorf("after %d: %s, %v, want %s", i+1, got, err, want)
		}
	}
}
