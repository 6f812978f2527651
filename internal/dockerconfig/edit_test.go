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

// edited is what an edit makes of a file's text, compacted; "" says that nothing was written.
func edited(t *testing.T, before string, change func(*File)) string {
	t.Helper()
	path := put(t, before)
	if err := Update(path, time.Minute, func(e *File) error { change(e); return nil }); err != nil {
		t.Fatalf("%s: %v", before, err)
	}
	if after := read(t, path); after != before {
		return compact(t, after)
	}
	return ""
}

func TestHelpers(t *testing.T) {
	set := func(e *File) string { return e.SetHelper(host, "ecr-oidc") }
	remove := func(e *File) string { return e.RemoveHelper(host) }
	entry := `"` + host + `":"ecr-oidc"`
	for _, tt := range []struct {
		name, before string
		change       func(*File) string
		old, want    string
	}{
		{"another's", `{"credHelpers":{"` + host + `":"ecr-login"}}`, set, "ecr-login", `{"credHelpers":{` + entry + `}}`},
		{"ours", `{"credHelpers":{` + entry + `}}`, set, "ecr-oidc", ""},
		{"ours, escaped", `{"credHelpers":{"` + host + `":"ecr\u002doidc"}}`, set, "ecr-oidc", ""},
		{"no string", `{"credHelpers":{"` + host + `":7}}`, set, "", `{"credHelpers":{` + entry + `}}`},
		{"in another case, as encoding/json reads it", `{"CREDHELPERS":{"` + host + `":"x"}}`, set, "x", `{"CREDHELPERS":{` + entry + `}}`},
		{"in two cases, of which the last counts", `{"credHelpers":{"` + host + `":"x"},"credhelpers":{"a":"b"}}`, set, "x", `{"credHelpers":{"` + host + `":"x"},"credhelpers":{"a":"b",` + entry + `}}`},
		{"remove one of two", `{"credHelpers":{"a":"b",` + entry + `},"z":1}`, remove, "ecr-oidc", `{"credHelpers":{"a":"b"},"z":1}`},
		{"remove the last", `{"a":1,"credHelpers":{` + entry + `},"z":1}`, remove, "ecr-oidc", `{"a":1,"z":1}`},
		{"remove everywhere", `{"credHelpers":{` + entry + `,` + entry + `},"credHelpers":{` + entry + `,"a":"b"}}`, remove, "ecr-oidc", `{"credHelpers":{"a":"b"}}`},
		{"remove none", `{"credHelpers":{}, "z":1}`, remove, "", ""},
		{"remove from nothing", ``, remove, "", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var old string
			if got := edited(t, tt.before, func(e *File) { old = tt.change(e) }); got != tt.want || old != tt.old {
				t.Errorf("%s became %q, and %q was there; want %q and %q", tt.before, got, old, tt.want, tt.old)
			}
		})
	}
}

// Clients have written one host's login under many keys; what is no login of this host stays.
func TestRemoveAuth(t *testing.T) {
	ours := []string{host, "https://" + host, "http://" + host, "https://" + host + "/", "https://" + host + "/v1/", host + ":443", "https://" + host + ":443", host + "/team/app", strings.ToUpper(host)}
	others := []string{host2, "https://index.docker.io/v1/", "gcr.io", host + ".evil.com", host + ":8443", "", "https://"}
	var before, after []string
	for i, key := range others {
		before = append(before, fmt.Sprintf(`%q:{"auth":"b"}`, ours[i]), fmt.Sprintf(`%q:{"auth":"o"}`, key))
		after = append(after, fmt.Sprintf(`%q:{"auth":"o"}`, key))
	}
	for _, key := range ours[len(others):] {
		before = append(before, fmt.Sprintf(`%q:{"identitytoken":"b"}`, key))
	}
	var removed []string
	got := edited(t, `{"auths":{`+strings.Join(before, ",")+`},"x":1}`, func(e *File) { removed = e.RemoveLogins(host) })
	if want := `{"auths":{` + strings.Join(after, ",") + `},"x":1}`; got != want || !reflect.DeepEqual(removed, ours) {
		t.Errorf("%s\nwant %s\nremoved %q\nwant    %q", got, want, removed, ours)
	}
	for _, nothing := range []string{`{"auths":{"` + host + `":{}}}`, `{"auths":{"` + host + `":null}}`, `{"auths":null}`, `{"auths":{}}`, `{}`, ``} {
		var removed, logins []string
		got := edited(t, nothing, func(e *File) { removed, logins = e.RemoveLogins(host), e.Logins() })
		if got != "" || removed != nil || logins != nil {
			t.Errorf("%s: became %q, removed %q, logins %q", nothing, got, removed, logins)
		}
	}
}

func TestCredsStore(t *testing.T) {
	for _, tt := range []struct{ before, set, was, want string }{
		{``, "ecr-oidc", "", `{"credsStore":"ecr-oidc"}`},
		{`{"credsStore":"desktop","z":1}`, "ecr-oidc", "desktop", `{"credsStore":"ecr-oidc","z":1}`},
		{`{"credsStore":"desktop","z":1}`, "desktop", "desktop", ""},
		{`{"a":1,"credsStore":"desktop","z":1}`, "", "desktop", `{"a":1,"z":1}`},
		{`{"credsStore":null}`, "x", "", `{"credsStore":"x"}`},
		{`{"credsStore":null}`, "", "", ""},
		{`{"CredsStore":"desktop"}`, "x", "desktop", `{"CredsStore":"x"}`},
		{`{"credsStore":"a","credsStore":"b"}`, "x", "b", `{"credsStore":"x","credsStore":"x"}`},
	} {
		var was string
		got := edited(t, tt.before, func(e *File) { was = e.CredsStore(); e.SetCredsStore(tt.set) })
		if got != tt.want || was != tt.was {
			t.Errorf("%s to %q: %q, was %q, want %q and %q", tt.before, tt.set, got, was, tt.want, tt.was)
		}
	}
}

// What is broken is said with its place, and what Docker would not read is no file of Docker's.
func TestErrorsSayWhere(t *testing.T) {
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
		path := put(t, before)
		unchanged(t, path, func() {
			err := Update(path, time.Minute, func(*File) error { t.Error("it went on"); return nil })
			if err == nil || !strings.HasPrefix(err.Error(), "editing "+path+": "+want) {
				t.Errorf("%q: %v, want %s", before, err, want)
			}
		})
		if _, err := Read(path); err == nil || !strings.HasPrefix(err.Error(), "reading "+path+": "+want) {
			t.Errorf("%q: %v", before, err)
		}
	}
}

func TestReadAndFailingChange(t *testing.T) {
	if e, err := Read(filepath.Join(t.TempDir(), "none", "config.json")); err != nil || len(e.Helpers()) != 0 || e.CredsStore() != "" {
		t.Errorf("a file that is not there: %v, %v", e, err)
	}
	path := put(t, `{"credHelpers":{"a":"b"}}`)
	unchanged(t, path, func() {
		e, err := Read(path)
		if err != nil || e.SetHelper("a", "c") != "b" || e.Helper("a") != "c" {
			t.Errorf("%v, %v", e, err)
		}
		no := errors.New("no")
		if err := Update(path, time.Minute, func(e *File) error {
			e.SetHelper("a", "c")
			e.AfterWrite(func() error { t.Error("it went on"); return nil })
			return no
		}); err != no {
			t.Error(err)
		}
	})
	if err := Update(path, time.Minute, func(e *File) error {
		e.SetHelper("a", "c")
		e.AfterWrite(func() error {
			if !strings.Contains(read(t, path), `"a": "c"`) {
				t.Error("it is not yet written")
			}
			return nil
		})
		return nil
	}); err != nil {
		t.Error(err)
	}
}

// Edits at the same time, through symlinks or not, lose nothing, and leave nothing behind.
func TestUpdateInParallel(t *testing.T) {
	path := put(t, `{"a":1}`)
	link := filepath.Join(t.TempDir(), "config.json")
	if err := os.Symlink(path, link); err != nil {
		link = path
	}
	const n = 50
	var all sync.WaitGroup
	for i := range n {
		all.Go(func() {
			if err := setHelper([]string{path, link}[i%2], "ecr-oidc", fmt.Sprintf("host%d", i)); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if e, err := Read(path); err != nil || len(e.Helpers()) != n {
		t.Errorf("%d entries, %v, want %d", len(e.Helpers()), err, n)
	}
	for _, name := range []string{path, link} {
		if files, err := os.ReadDir(filepath.Dir(name)); runtime.GOOS != "windows" && (err != nil || len(files) != 1) {
			t.Errorf("%v, %v", files, err)
		}
	}
}

// A lock that a killed run left behind holds nobody up, and is cleared away.
func TestLeftoverLock(t *testing.T) {
	path := put(t, `{}`)
	left := filepath.Join(filepath.Dir(path), ".config.json.ecr-oidc.lock")
	if err := os.WriteFile(left, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := setHelper(path, "ecr-oidc", host); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(left); runtime.GOOS != "windows" && !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("it is still there: %v", err)
	}
}

// In a folder that cannot be written, what is right already is no error, and what would change is.
func TestReadOnlyFolder(t *testing.T) {
	if os.Geteuid() == 0 || runtime.GOOS == "windows" {
		t.Skip("nothing is read-only to root, nor by mode bits on Windows")
	}
	path := put(t, `{"credHelpers":{"`+host+`":"ecr-oidc"}}`)
	if err := os.Chmod(filepath.Dir(path), 0o500); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.Chmod(filepath.Dir(path), 0o700) })
	if err := setHelper(path, "ecr-oidc", host); err != nil {
		t.Error(err)
	}
	if err := setHelper(path, "ecr-oidc", host2); !errors.Is(err, fs.ErrPermission) {
		t.Errorf("%v, want a refusal", err)
	}
}

// Three thousand registries, as a large product of accounts and regions has, are no work.
func TestMany(t *testing.T) {
	path := put(t, `{}`)
	if err := Update(path, time.Minute, func(e *File) error {
		for i := range 3000 {
			e.SetHelper(fmt.Sprintf("%012d.dkr.ecr.eu-west-2.amazonaws.com", i), "ecr-oidc")
			e.RemoveLogins(host)
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if e, err := Read(path); err != nil || len(e.Helpers()) != 3000 {
		t.Errorf("%d, %v", len(e.Helpers()), err)
	}
}

// An edit waits for the lock no longer than it may, and then reports the lock file.
func TestLockHeld(t *testing.T) {
	path := put(t, `{}`)
	unlock, err := Lock(path, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	name := filepath.Join(filepath.Dir(path), ".config.json.ecr-oidc.lock")
	if real, err := filepath.EvalSymlinks(name); err == nil {
		name = real
	}
	err = Update(path, 50*time.Millisecond, func(e *File) error {
		e.SetHelper(host, "ecr-oidc")
		return nil
	})
	want := "editing " + path + ": another process holds the lock file " + name +
		"; wait for that process or end it, and try again"
	if err == nil || err.Error() != want || read(t, path) != "{}" {
		t.Errorf("%v, want %s; the file is now %s", err, want, read(t, path))
	}
	unlock()
	if err := setHelper(path, "ecr-oidc", host); err != nil {
		t.Errorf("with the lock free again: %v", err)
	}
}

// A symlink in place of the lock is not followed.
func TestLockIsNoSymlink(t *testing.T) {
	path := put(t, `{}`)
	target := filepath.Join(t.TempDir(), "target")
	lock := filepath.Join(filepath.Dir(path), ".config.json.ecr-oidc.lock")
	if err := os.Symlink(target, lock); err != nil || runtime.GOOS == "windows" {
		t.Skip("no symlinks: ", err)
	}
	const want = ".config.json.ecr-oidc.lock is a symlink, which is not followed; remove it"
	err := setHelper(path, "ecr-oidc", host)
	if err == nil || !strings.HasSuffix(err.Error(), want) || read(t, path) != "{}" {
		t.Errorf("%v; the file is now %s", err, read(t, path))
	}
	if _, err := os.Lstat(target); err == nil {
		t.Error("it made what the symlink leads to")
	}
}

// A file of 250 logins to ECR is not too large. One that could not be read again is not written.
func TestMaxSize(t *testing.T) {
	login := `{"auth":"` + strings.Repeat("x", 3600) + `"}` // a password of 2,700 bytes
	var file strings.Builder
	file.WriteString(`{"auths":{`)
	for i := range 250 {
		fmt.Fprintf(&file, `"%012d.dkr.ecr.eu-west-2.amazonaws.com":%s,`, i, login)
	}
	path := put(t, file.String()+`"x":{}}}`)
	if err := setHelper(path, "ecr-oidc", host); err != nil {
		t.Fatal(err)
	}
	full := `{"x":"` + strings.Repeat("x", MaxSize-len(`{"x":""}`)) + `"}`
	path = put(t, full)
	if e, err := Read(path); err != nil || e.Empty() {
		t.Errorf("a file of the limit's size: %v", err)
	}
	err := setHelper(path, "ecr-oidc", host)
	if err == nil || !strings.HasSuffix(err.Error(), "it would be larger than 1 MiB") || read(t, path) != full {
		t.Errorf("%v", err)
	}
}
