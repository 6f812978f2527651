package dockerconfig

import (
	"bytes"
	"encoding/json"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"
)

const (
	host  = "123456789012.dkr.ecr.eu-west-2.amazonaws.com"
	host2 = "210987654321.dkr.ecr.us-east-1.amazonaws.com"
)

// setHelper sets the credHelpers entries of hosts, as configure does.
func setHelper(path, helper string, hosts ...string) error {
	return Update(path, time.Minute, func(f *File) error {
		for _, host := range hosts {
			f.SetHelper(host, helper)
		}
		return nil
	})
}

func writeConfig(t *testing.T, content string) (path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "config.json")
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func readFile(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestSetHelper(t *testing.T) {
	entry := `"` + host + `":"ecr-oidc"`
	tests := []struct{ name, before, want string }{ // want as compacted JSON
		{"empty file", "", `{"credHelpers":{` + entry + `}}`},
		{"whitespace", " \n\t", `{"credHelpers":{` + entry + `}}`},
		{"empty object", "{}", `{"credHelpers":{` + entry + `}}`},
		{"unknown keys, in their order", `{"z":1,"auths":{"b":{},"a":{}},"m":[true,null]}`,
			`{"z":1,"auths":{"b":{},"a":{}},"m":[true,null],"credHelpers":{` + entry +
				`}}`},
		{"entries of other hosts",
			`{"credHelpers":{"gcr.io":"gcr","a.io":"x"},"credsStore":"desktop"}`,
			`{"credHelpers":{"gcr.io":"gcr","a.io":"x",` + entry +
				`},"credsStore":"desktop"}`},
		{"another helper, in the same position",
			`{"credHelpers":{"a":"b","` + host + `":"ecr-login","c":"d"}}`,
			`{"credHelpers":{"a":"b",` + entry + `,"c":"d"}}`},
		{"a value of another type", `{"credHelpers":{"` + host + `":null}}`,
			`{"credHelpers":{` + entry + `}}`},
		{"number formats", `{"a":1e400,"b":12345678901234567890,"c":1.0,"d":-0,"e":1E+2}`,
			`{"a":1e400,"b":12345678901234567890,"c":1.0,"d":-0,"e":1E+2,"credHelpers":{` +
				entry + `}}`},
		{"HTML characters", `{"a<b>&":"<&>","psFormat":"{{.ID}}\u0026"}`,
			`{"a<b>&":"<&>","psFormat":"{{.ID}}\u0026","credHelpers":{` + entry + `}}`},
		{"escapes and non-ASCII characters in values", `{"k":"\u00e9 é \/ \ud83d\ude00"}`,
			`{"k":"\u00e9 é \/ \ud83d\ude00","credHelpers":{` + entry + `}}`},
		{"duplicate keys", `{"a":1,"a":2}`, `{"a":1,"a":2,"credHelpers":{` + entry + `}}`},
		{"a key with escapes", `{"a\"b\\\n":1}`, `{"a\"b\\\n":1,"credHelpers":{` + entry + `}}`},
		{"deep nesting", strings.Repeat(`{"a":`, 500) + "1" + strings.Repeat("}", 500),
			`{"a":` + strings.Repeat(`{"a":`, 499) + "1" + strings.Repeat("}", 499) +
				`,"credHelpers":{` + entry + `}}`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			path := writeConfig(t, tt.before)
			if err := setHelper(path, "ecr-oidc", host); err != nil {
				t.Fatal(err)
			}
			got := readFile(t, path)
			if compact(t, got) != tt.want {
				t.Errorf("%s\nbecame %s\nwant   %s", tt.before, compact(t, got), tt.want)
			}
			if !strings.HasPrefix(got, "{\n\t\"") || !strings.HasSuffix(got, "\n}\n") {
				t.Errorf("not indented like Docker's file: %q", got)
			}
			checkUnchanged(t, path, func() {
				if err := setHelper(path, "ecr-oidc", host); err != nil {
					t.Fatal(err)
				}
			})
		})
	}
}

func TestSetHelperSeveralHosts(t *testing.T) {
	path := writeConfig(t, `{}`)
	if err := setHelper(path, "ecr-oidc", host, host2, host); err != nil {
		t.Fatal(err)
	}
	if err := setHelper(path, "ecr-oidc", "public.ecr.aws"); err != nil { // adds to the first call
		t.Fatal(err)
	}
	got := compact(t, readFile(t, path))
	want := `{"credHelpers":{"` + host + `":"ecr-oidc","` + host2 + `":"ecr-oidc",` +
		`"public.ecr.aws":"ecr-oidc"}}`
	if got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

// Update returns an error for a file that is not a JSON object, and does not change the file.
func TestUpdateInvalidFile(t *testing.T) {
	for _, before := range []string{
		`[]`, `"x"`, `1`, `true`, `null`, `x`, `{`, `{"a"`, `{"a":`, `{"a":1`, `{"a":1,`,
		`{"a":1,}`, `{"a":{"b":1}`, `{a:1}`, `{'a':1}`, `{"a":01}`, `{"a":"\x"}`, `{"a" 1}`,
		`{"a":1 "b":2}`, `{1:2}`,
		`{"a":1} x`, `{"a":1}{}`, `{} []`, `{} 1`, "{}\x00", "\ufeff{}",
		`{"a":1} // comment`, `{/* comment */}`, "<html>", "{\"a\":\"\n\"}",
		`{"credHelpers":[]}`, `{"credHelpers":"x"}`, `{"credHelpers":1}`,
		`{"credHelpers":true}`, `{"credHelpers":{}`, `{"credHelpers":{"a":}}`,
	} {
		t.Run(before, func(t *testing.T) {
			path := writeConfig(t, before)
			checkUnchanged(t, path, func() {
				err := setHelper(path, "ecr-oidc", host)
				if err == nil || !strings.HasPrefix(err.Error(), "editing "+path+": ") {
					t.Errorf("%v", err)
				}
				if err != nil && strings.Contains(before, "credHelpers") &&
					json.Valid([]byte(before)) &&
					!strings.Contains(err.Error(), "credHelpers") {
					t.Errorf("the error does not name credHelpers: %v", err)
				}
			})
		})
	}
	t.Run("a directory", func(t *testing.T) {
		if err := setHelper(t.TempDir(), "ecr-oidc", host); err == nil {
			t.Error("no error")
		}
	})
	t.Run("a file in place of the directory", func(t *testing.T) {
		path := writeConfig(t, "{}")
		err := setHelper(filepath.Join(path, "config.json"), "ecr-oidc", host)
		if err == nil || readFile(t, path) != "{}" {
			t.Error(err)
		}
	})
}

// Update replaces null in place of the entries, or returns an error and keeps it.
func TestSetHelperNull(t *testing.T) {
	const before = `{"a":1,"credHelpers":null,"z":2}`
	path := writeConfig(t, before)
	err := setHelper(path, "ecr-oidc", host)
	want := before
	if err == nil {
		want = `{"a":1,"credHelpers":{"` + host + `":"ecr-oidc"},"z":2}`
	}
	if got := compact(t, readFile(t, path)); got != want {
		t.Errorf("%s, %v, want %s", got, err, want)
	}
}

func TestUpdateMissingFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "new", ".docker", "config.json")
	if err := setHelper(path, "ecr-oidc", host); err != nil {
		t.Fatal(err)
	}
	got, want := compact(t, readFile(t, path)), `{"credHelpers":{"`+host+`":"ecr-oidc"}}`
	if got != want {
		t.Errorf("%s, want %s", got, want)
	}
	if runtime.GOOS == "windows" {
		return
	}
	for p, want := range map[string]fs.FileMode{
		path:                             0o600,
		filepath.Dir(path):               fs.ModeDir | 0o700,
		filepath.Dir(filepath.Dir(path)): fs.ModeDir | 0o700,
	} {
		if fi, err := os.Stat(p); err != nil || fi.Mode() != want {
			t.Errorf("%s has mode %v, %v, want %v", p, fi.Mode(), err, want)
		}
	}
}

func TestUpdateMode(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("Windows has no mode bits")
	}
	for _, mode := range []fs.FileMode{0o600, 0o640, 0o644, 0o666, 0o400} {
		path := writeConfig(t, "{}")
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		if err := setHelper(path, "ecr-oidc", host); err != nil {
			t.Fatal(err)
		}
		if fi, err := os.Stat(path); err != nil || fi.Mode() != mode {
			t.Errorf("mode %v became %v, %v", mode, fi.Mode(), err)
		}
	}
}

// Update edits the file that a chain of symlinks points to, and keeps the symlinks. Dotfile managers
// use such symlinks.
func TestUpdateSymlink(t *testing.T) {
	target := writeConfig(t, `{"a":1}`)
	dir := t.TempDir()
	middle, path := filepath.Join(dir, "middle.json"), filepath.Join(dir, "config.json")
	if err := os.Symlink(target, middle); err != nil {
		t.Skip(err)
	}
	if err := os.Symlink("middle.json", path); err != nil {
		t.Fatal(err)
	}
	if err := setHelper(path, "ecr-oidc", host); err != nil {
		t.Fatal(err)
	}
	for _, link := range []string{path, middle} {
		if fi, err := os.Lstat(link); err != nil || fi.Mode()&fs.ModeSymlink == 0 {
			t.Errorf("%s is %v, %v", link, fi.Mode(), err)
		}
	}
	if fi, err := os.Lstat(target); err != nil || !fi.Mode().IsRegular() ||
		!strings.Contains(readFile(t, target), host) {
		t.Errorf("the target: %v, %v", fi, err)
	}
	for _, d := range []string{dir, filepath.Dir(target)} { // no temporary files
		files, err := os.ReadDir(d)
		if err != nil || len(files) > 2 {
			t.Errorf("%s contains %v, %v", d, files, err)
		}
	}
}

func TestPath(t *testing.T) {
	home := t.TempDir()
	t.Setenv("HOME", home)
	t.Setenv("USERPROFILE", home)
	for dir, want := range map[string]string{
		"":  filepath.Join(home, ".docker", "config.json"),
		"d": filepath.Join("d", "config.json"),
	} {
		if got, err := Path(dir); err != nil || got != want {
			t.Errorf("Path(%q) = %q, %v, want %q", dir, got, err, want)
		}
	}
	t.Setenv("HOME", "")
	t.Setenv("USERPROFILE", "")
	const wantErr = "finding Docker's configuration: "
	got, err := Path("")
	if runtime.GOOS != "darwin" && (err == nil || !strings.HasPrefix(err.Error(), wantErr)) {
		t.Errorf("without a home directory: %q, %v", got, err)
	}
	if got, err := Path("d"); err != nil || got != filepath.Join("d", "config.json") {
		t.Errorf("with DOCKER_CONFIG, without a home directory: %q, %v", got, err)
	}
}

// FuzzSetHelper checks that an edit of any JSON object changes only the entry of the host. Every other
// member keeps its key, its position and, except for whitespace, its text.
func FuzzSetHelper(f *testing.F) {
	for _, s := range []string{
		`{}`, ``, `{"a":1,"credHelpers":{"x":"y"},"z":{"b":[1e400,"<\u0026>"]}}`,
		`{"credHelpers":{"` + host + `":"old"},"credHelpers":{}}`, `{"a":1,"a":2}`,
		`{"\u0061":"\ud800"}`, "{\"\xff\":\"\xff\"}", `{"a":1}}`,
	} {
		f.Add(s)
	}
	path := filepath.Join(f.TempDir(), "config.json")
	f.Fuzz(func(t *testing.T, before string) {
		if err := os.WriteFile(path, []byte(before), 0o600); err != nil {
			t.Fatal(err)
		}
		err := setHelper(path, "ecr-oidc", host)
		after := readFile(t, path)
		if err != nil {
			if after != before {
				t.Errorf("%q: error %v, but the file changed to %q", before, err, after)
			}
			return
		}
		if !json.Valid([]byte(before)) {
			return // an empty file
		}
		old, got := members(t, before), members(t, after)
		helpers := 0 // index of the last credHelpers, which Docker uses, plus one
		for i, m := range old {
			if strings.EqualFold(m.key, "credHelpers") {
				helpers = i + 1
			}
		}
		for i, m := range old {
			if i >= len(got) || got[i].key != m.key {
				t.Fatalf("%q lost the key %q: %q", before, m.key, after)
			}
			if helpers == i+1 {
				continue
			}
			if got[i].value != m.value {
				t.Errorf("%q: %q became %q", before, m.value, got[i].value)
			}
		}
		want := len(old)
		if helpers == 0 {
			want++
		}
		if len(got) != want {
			t.Errorf("%q has %d members, and %q has %d", before, len(old), after, len(got))
		}
		if helpers == 0 {
			helpers = len(got)
		}
		entries, found := members(t, got[helpers-1].value), false
		for _, e := range entries {
			found = found || e.key == host && e.value == `"ecr-oidc"`
		}
		if !found {
			t.Errorf("%q: the entry is missing: %q", before, after)
		}
	})
}

type pair struct{ key, value string }

// members returns the members of a JSON object, with compacted values.
func members(t *testing.T, s string) []pair {
	t.Helper()
	d := json.NewDecoder(strings.NewReader(s))
	if _, err := d.Token(); err != nil {
		t.Fatalf("%q: %v", s, err)
	}
	var found []pair
	for d.More() {
		key, err := d.Token()
		if err != nil {
			t.Fatalf("%q: %v", s, err)
		}
		var value json.RawMessage
		if err := d.Decode(&value); err != nil {
			t.Fatalf("%q: %v", s, err)
		}
		found = append(found, pair{key.(string), compact(t, string(value))})
	}
	return found
}

func compact(t *testing.T, s string) string {
	t.Helper()
	var b bytes.Buffer
	if err := json.Compact(&b, []byte(s)); err != nil {
		t.Fatalf("%q: %v", s, err)
	}
	return b.String()
}

// checkUnchanged checks that act does not write the file at path, not even with the same content.
func checkUnchanged(t *testing.T, path string, act func()) {
	t.Helper()
	content := readFile(t, path)
	before, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	act()
	after, err := os.Stat(path)
	if err != nil || !os.SameFile(before, after) || !before.ModTime().Equal(after.ModTime()) ||
		readFile(t, path) != content {
		t.Errorf("%s was written: %q became %q (%v)", path, content, readFile(t, path), err)
	}
}

// Update edits the entry that Docker uses in files with unusual but valid content.
func TestUpdateUnusualFile(t *testing.T) {
	const entry = `"` + host + `": "ecr-oidc"`
	for _, tt := range []struct{ name, before, want string }{
		{"a duplicate host, of which Docker uses the last",
			`{"credHelpers":{"` + host + `":"x","` + host + `":"y"}}`,
			"{\n\t\"credHelpers\": {\n\t\t\"" + host + "\": \"x\",\n\t\t" + entry +
				"\n\t}\n}\n"},
		{"duplicate credHelpers", `{"credHelpers":{"` + host + `":"x"},"credHelpers":{}}`,
			"{\n\t\"credHelpers\": {\n\t\t\"" + host +
				"\": \"x\"\n\t},\n\t\"credHelpers\": {\n\t\t" + entry + "\n\t}\n}\n"},
		{"credHelpers null", `{"credHelpers":null}`,
			"{\n\t\"credHelpers\": {\n\t\t" + entry + "\n\t}\n}\n"},
		{"keys with escapes", `{"\ud800":1,"\u00e9":2}`,
			"{\n\t\"\\ud800\": 1,\n\t\"\\u00e9\": 2,\n\t\"credHelpers\": {\n\t\t" +
				entry + "\n\t}\n}\n"},
		{"an existing entry with other whitespace", `{ "credHelpers" : {` + entry + `} }`,
			`{ "credHelpers" : {` + entry + `} }`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "config.json")
			if err := os.WriteFile(path, []byte(tt.before), 0o600); err != nil {
				t.Fatal(err)
			}
			if err := setHelper(path, "ecr-oidc", host); err != nil {
				t.Fatal(err)
			}
			if got := readFile(t, path); got != tt.want {
				t.Errorf("%s became %q, want %q", tt.before, got, tt.want)
			}
		})
	}
	for _, broken := range []string{`{"a":1}}`, `{"a":1}]junk`, `{"a":1}{}`, `{"a":1},`} {
		path := filepath.Join(t.TempDir(), "config.json")
		if err := os.WriteFile(path, []byte(broken), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := setHelper(path, "ecr-oidc", host); err == nil || readFile(t, path) != broken {
			t.Errorf("%s: %v; the file is now %s", broken, err, readFile(t, path))
		}
	}
}

// Update creates the file that a dangling symlink points to.
func TestUpdateDanglingSymlink(t *testing.T) {
	dir := t.TempDir()
	link, target := filepath.Join(dir, "config.json"), filepath.Join(dir, "real", "config.json")
	if err := os.Symlink(filepath.Join("real", "config.json"), link); err != nil {
		t.Skipf("creating a symlink: %v", err)
	}
	if err := setHelper(link, "ecr-oidc", host); err != nil {
		t.Fatal(err)
	}
	if fi, err := os.Lstat(link); err != nil || fi.Mode().Type() != os.ModeSymlink ||
		!strings.Contains(readFile(t, target), host) {
		t.Errorf("the symlink is now %v, %v", fi.Mode(), err)
	}
}
