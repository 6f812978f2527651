package dockerconfig

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"
)

// applyEdit applies an edit to a file and returns its compacted text, or "" if the file did not
// change.
func applyEdit(t *testing.T, before string, change func(*File)) string {
	t.Helper()
	path := writeConfig(t, before)
	if err := Update(path, time.Minute, func(f *File) error { change(f); return nil }); err != nil {
		t.Fatalf("%s: %v", before, err)
	}
	if after := readFile(t, path); after != before {
		return compact(t, after)
	}
	return ""
}

func TestHelpers(t *testing.T) {
	set := func(f *File) string { return f.SetHelper(host, "ecr-oidc") }
	remove := func(f *File) string { return f.RemoveHelper(host) }
	entry := `"` + host + `":"ecr-oidc"`
	for _, tt := range []struct {
		name, before string
		change       func(*File) string
		old, want    string
	}{
		{"another helper", `{"credHelpers":{"` + host + `":"ecr-login"}}`, set, "ecr-login",
			`{"credHelpers":{` + entry + `}}`},
		{"this helper", `{"credHelpers":{` + entry + `}}`, set, "ecr-oidc", ""},
		{"this helper, with an escape", `{"credHelpers":{"` + host + `":"ecr\u002doidc"}}`,
			set, "ecr-oidc", ""},
		{"not a string", `{"credHelpers":{"` + host + `":7}}`, set, "",
			`{"credHelpers":{` + entry + `}}`},
		{"another case", `{"CREDHELPERS":{"` + host + `":"x"}}`, set, "x",
			`{"CREDHELPERS":{` + entry + `}}`},
		{"duplicate in another case",
			`{"credHelpers":{"` + host + `":"x"},"credhelpers":{"a":"b"}}`, set, "x",
			`{"credHelpers":{"` + host + `":"x"},"credhelpers":{"a":"b",` + entry +
				`}}`},
		{"remove one of two entries", `{"credHelpers":{"a":"b",` + entry + `},"z":1}`,
			remove, "ecr-oidc", `{"credHelpers":{"a":"b"},"z":1}`},
		{"remove the only entry", `{"a":1,"credHelpers":{` + entry + `},"z":1}`, remove,
			"ecr-oidc", `{"a":1,"z":1}`},
		{"remove duplicates",
			`{"credHelpers":{` + entry + `,` + entry + `},"credHelpers":{` + entry +
				`,"a":"b"}}`, remove, "ecr-oidc", `{"credHelpers":{"a":"b"}}`},
		{"remove a missing entry", `{"credHelpers":{}, "z":1}`, remove, "", ""},
		{"remove from an empty file", ``, remove, "", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var old string
			got := applyEdit(t, tt.before, func(f *File) { old = tt.change(f) })
			if got != tt.want || old != tt.old {
				t.Errorf("%s became %q, old entry %q; want %q and %q", tt.before,
					got, old, tt.want, tt.old)
			}
		})
	}
}

// Clients use different keys for the logins of one host. RemoveLogins removes all of them, and no
// other login.
func TestRemoveLogins(t *testing.T) {
	keys := []string{host, "https://" + host, "http://" + host, "https://" + host + "/",
		"https://" + host + "/v1/", host + ":443", "https://" + host + ":443",
		host + "/team/app", strings.ToUpper(host)}
	others := []string{host2, "https://index.docker.io/v1/", "gcr.io", host + ".evil.com",
		host + ":8443", "", "https://"}
	var before, after []string
	for i, key := range others {
		before = append(before, fmt.Sprintf(`%q:{"auth":"b"}`, keys[i]),
			fmt.Sprintf(`%q:{"auth":"o"}`, key))
		after = append(after, fmt.Sprintf(`%q:{"auth":"o"}`, key))
	}
	for _, key := range keys[len(others):] {
		before = append(before, fmt.Sprintf(`%q:{"identitytoken":"b"}`, key))
	}
	var removed []string
	got := applyEdit(t, `{"auths":{`+strings.Join(before, ",")+`},"x":1}`,
		func(f *File) { removed = f.RemoveLogins(host) })
	want := `{"auths":{` + strings.Join(after, ",") + `},"x":1}`
	if got != want || !reflect.DeepEqual(removed, keys) {
		t.Errorf("%s\nwant %s\nremoved %q\nwant    %q", got, want, removed, keys)
	}
	for _, before := range []string{
		`{"auths":{"` + host + `":{}}}`, `{"auths":{"` + host + `":null}}`,
		`{"auths":null}`, `{"auths":{}}`, `{}`, ``,
	} {
		var removed, logins []string
		got := applyEdit(t, before,
			func(f *File) { removed, logins = f.RemoveLogins(host), f.Logins() })
		if got != "" || removed != nil || logins != nil {
			t.Errorf("%s: became %q, removed %q, logins %q", before, got, removed, logins)
		}
	}
}

func TestCredsStore(t *testing.T) {
	for _, tt := range []struct{ before, set, old, want string }{
		{``, "ecr-oidc", "", `{"credsStore":"ecr-oidc"}`},
		{`{"credsStore":"desktop","z":1}`, "ecr-oidc", "desktop",
			`{"credsStore":"ecr-oidc","z":1}`},
		{`{"credsStore":"desktop","z":1}`, "desktop", "desktop", ""},
		{`{"a":1,"credsStore":"desktop","z":1}`, "", "desktop", `{"a":1,"z":1}`},
		{`{"credsStore":null}`, "x", "", `{"credsStore":"x"}`},
		{`{"credsStore":null}`, "", "", ""},
		{`{"CredsStore":"desktop"}`, "x", "desktop", `{"CredsStore":"x"}`},
		{`{"credsStore":"a","credsStore":"b"}`, "x", "b", `{"credsStore":"x","credsStore":"x"}`},
	} {
		var old string
		got := applyEdit(t, tt.before,
			func(f *File) { old = f.CredsStore(); f.SetCredsStore(tt.set) })
		if got != tt.want || old != tt.old {
			t.Errorf("%s set to %q: %q, old %q; want %q and %q",
				tt.before, tt.set, got, old, tt.want, tt.old)
		}
	}
}

// The error for an invalid file names the line and the column, or the field.
func TestInvalidFileErrors(t *testing.T) {
	for before, want := range map[string]string{
		"{\n  \"a\": 1,\n}\n":      "it is not JSON: line 3, column 1: invalid character '}'",
		"{\"a\": 1}\n\nx":          "it is not JSON: line 3, column 1: invalid character 'x'",
		"{\n\t\"auths\": {":        "it is not JSON: line 2, column 11: unexpected end of JSON input",
		"{'a': 1}":                 "it is not JSON: line 1, column 2: invalid character '\\''",
		"[]":                       "it is not a JSON object",
		`{"auths":[]}`:             "auths: it is not a JSON object",
		`{"Auths":1}`:              "Auths: it is not a JSON object",
		`{"credHelpers":"ecr"}`:    "credHelpers: it is not a JSON object",
		`{"credsStore":{"a":"b"}}`: "credsStore: it is not a string",
		`{"credsStore":1}`:         "credsStore: it is not a string",
	} {
		path := writeConfig(t, before)
		checkUnchanged(t, path, func() {
			err := Update(path, time.Minute,
				func(*File) error { t.Error("unexpected call"); return nil })
			if err == nil || !strings.HasPrefix(err.Error(), "editing "+path+": "+want) {
				t.Errorf("%q: %v, want %s", before, err, want)
			}
		})
		if _, err := Read(path); err == nil ||
			!strings.HasPrefix(err.Error(), "reading "+path+": "+want) {
			t.Errorf("%q: %v", before, err)
		}
	}
}

func TestUpdateFailingChange(t *testing.T) {
	if f, err := Read(filepath.Join(t.TempDir(), "none", "config.json")); err != nil ||
		len(f.Helpers()) != 0 || f.CredsStore() != "" {
		t.Errorf("a missing file: %v, %v", f, err)
	}
	path := writeConfig(t, `{"credHelpers":{"a":"b"}}`)
	checkUnchanged(t, path, func() {
		f, err := Read(path)
		if err != nil || f.SetHelper("a", "c") != "b" || f.Helper("a") != "c" {
			t.Errorf("%v, %v", f, err)
		}
		errChange := errors.New("change failed")
		if err := Update(path, time.Minute, func(f *File) error {
			f.SetHelper("a", "c")
			f.AfterWrite(func() error { t.Error("unexpected call"); return nil })
			return errChange
		}); err != errChange {
			t.Error(err)
		}
	})
	if err := Update(path, time.Minute, func(f *File) error {
		f.SetHelper("a", "c")
		f.AfterWrite(func() error {
			if !strings.Contains(readFile(t, path), `"a": "c"`) {
				t.Error("AfterWrite was called before the file was written")
			}
			return nil
		})
		return nil
	}); err != nil {
		t.Error(err)
	}
}

// Concurrent updates, with and without a symlink, lose no edit and leave no other file behind.
func TestUpdateConcurrent(t *testing.T) {
	path := writeConfig(t, `{"a":1}`)
	link := filepath.Join(t.TempDir(), "config.json")
	if err := os.Symlink(path, link); err != nil {
		link = path
	}
	const n = 50
	var updates sync.WaitGroup
	for i := range n {
		updates.Go(func() {
			err := setHelper([]string{path, link}[i%2], "ecr-oidc", fmt.Sprintf("host%d", i))
			if err != nil {
				t.Error(err)
			}
		})
	}
	updates.Wait()
	if f, err := Read(path); err != nil || len(f.Helpers()) != n {
		t.Errorf("%d entries, %v, want %d", len(f.Helpers()), err, n)
	}
	for _, name := range []string{path, link} {
		if files, err := os.ReadDir(filepath.Dir(name)); runtime.GOOS != "windows" &&
			(err != nil || len(files) != 1) {
			t.Errorf("%v, %v", files, err)
		}
	}
}

// A lock file that a killed process left behind does not block Update, and is removed.
func TestLockLeftover(t *testing.T) {
	path := writeConfig(t, `{}`)
	lock := filepath.Join(filepath.Dir(path), ".config.json.ecr-oidc.lock")
	if err := os.WriteFile(lock, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := setHelper(path, "ecr-oidc", host); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(lock); runtime.GOOS != "windows" && !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the lock file still exists: %v", err)
	}
}

// In a read-only directory, Update returns an error only if the file has to change.
func TestUpdateReadOnlyDirectory(t *testing.T) {
	if os.Geteuid() == 0 || runtime.GOOS == "windows" {
		t.Skip("the directory is not read-only for root or on Windows")
	}
	path := writeConfig(t, `{"credHelpers":{"`+host+`":"ecr-oidc"}}`)
	if err := os.Chmod(filepath.Dir(path), 0o500); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.Chmod(filepath.Dir(path), 0o700) })
	if err := setHelper(path, "ecr-oidc", host); err != nil {
		t.Error(err)
	}
	if err := setHelper(path, "ecr-oidc", host2); !errors.Is(err, fs.ErrPermission) {
		t.Errorf("%v, want a permission error", err)
	}
}

// Editing thousands of registries is fast. A large organization has that many accounts and regions.
func TestUpdateManyRegistries(t *testing.T) {
	path := writeConfig(t, `{}`)
	if err := Update(path, time.Minute, func(f *File) error {
		for i := range 3000 {
			f.SetHelper(fmt.Sprintf("%012d.dkr.ecr.eu-west-2.amazonaws.com", i), "ecr-oidc")
			f.RemoveLogins(host)
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if f, err := Read(path); err != nil || len(f.Helpers()) != 3000 {
		t.Errorf("%d, %v", len(f.Helpers()), err)
	}
}

// Update returns an error that names the lock file if it cannot acquire the lock in time.
func TestLockTimeout(t *testing.T) {
	path := writeConfig(t, `{}`)
	unlock, err := Lock(path, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	name := filepath.Join(filepath.Dir(path), ".config.json.ecr-oidc.lock")
	if real, err := filepath.EvalSymlinks(name); err == nil {
		name = real
	}
	err = Update(path, 50*time.Millisecond, func(f *File) error {
		f.SetHelper(host, "ecr-oidc")
		return nil
	})
	want := "editing " + path + ": another process holds the lock file " + name +
		"; wait for that process or stop it, and try again"
	if err == nil || err.Error() != want || readFile(t, path) != "{}" {
		t.Errorf("%v, want %s; the file is now %s", err, want, readFile(t, path))
	}
	unlock()
	if err := setHelper(path, "ecr-oidc", host); err != nil {
		t.Errorf("after the lock was released: %v", err)
	}
}

// Update does not follow a symlink in place of the lock file.
func TestLockSymlink(t *testing.T) {
	path := writeConfig(t, `{}`)
	target := filepath.Join(t.TempDir(), "target")
	lock := filepath.Join(filepath.Dir(path), ".config.json.ecr-oidc.lock")
	if err := os.Symlink(target, lock); err != nil || runtime.GOOS == "windows" {
		t.Skip("creating a symlink: ", err)
	}
	const want = ".config.json.ecr-oidc.lock is a symlink; remove it"
	err := setHelper(path, "ecr-oidc", host)
	if err == nil || !strings.HasSuffix(err.Error(), want) || readFile(t, path) != "{}" {
		t.Errorf("%v; the file is now %s", err, readFile(t, path))
	}
	if _, err := os.Lstat(target); err == nil {
		t.Error("Update created the target of the symlink")
	}
}

// A file with 250 ECR logins is not too large. A file that is too large to be read is not written.
func TestMaxSize(t *testing.T) {
	login := `{"auth":"` + strings.Repeat("x", 3600) + `"}` // a password of 2,700 bytes
	var file strings.Builder
	file.WriteString(`{"auths":{`)
	for i := range 250 {
		fmt.Fprintf(&file, `"%012d.dkr.ecr.eu-west-2.amazonaws.com":%s,`, i, login)
	}
	path := writeConfig(t, file.String()+`"x":{}}}`)
	if err := setHelper(path, "ecr-oidc", host); err != nil {
		t.Fatal(err)
	}
	full := `{"x":"` + strings.Repeat("x", MaxSize-len(`{"x":""}`)) + `"}`
	path = writeConfig(t, full)
	if f, err := Read(path); err != nil || f.Empty() {
		t.Errorf("a file of the maximum size: %v", err)
	}
	err := setHelper(path, "ecr-oidc", host)
	if err == nil || !strings.HasSuffix(err.Error(), "it would be larger than 1 MiB") ||
		readFile(t, path) != full {
		t.Errorf("%v", err)
	}
}
