package doctor

import (
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestCheckDockerVersion(t *testing.T) {
	const contains, push, hides = ": Docker's error contains the helper's error",
		": for a push, Docker's error contains", ": Docker's error does not contain"
	for output, want := range map[string]string{
		"Docker version 29.0.0, build 3d4129b":                   "version 29.0.0" + contains,
		"Docker version 30.1, build x":                           "version 30.1" + contains,
		"Docker version 28.5.0, build x":                         push,
		"Docker version 28.5.2-rc.1, build x":                    push,
		"Docker version 28.4.0, build d8eb465":                   hides,
		"Docker version 28.10.0, build x":                        push,
		"Docker version 27.5.1, build x":                         hides,
		"Docker version 20.10.25+dfsg1, build b82b9f3":           "version 20.10.25" + hides,
		"Docker version 2.9.0":                                   hides,
		"podman version 5.4.2":                                   "",
		"Emulate Docker CLI using podman.\npodman version 4.9.3": "",
		"nerdctl version 2.0.0":                                  "",
		"":                                                       "",
		"Docker version unknown-version, build unknown-commit":   "",
	} {
		c, ok := checkDockerVersion(output)
		if ok != (want != "") || !strings.Contains(c.Text, want) ||
			ok && (c.Name != "docker" || c.State != OK) {
			t.Errorf("%q: %v %+v, want %q", output, ok, c, want)
		}
	}
}

func TestParseAuthConfig(t *testing.T) {
	for value, want := range map[string][]string{
		`{"auths": {"` + host + `": {"auth": "eA=="}, "ghcr.io": {}}}`: {host, "ghcr.io"},
		`{"auths": {}}`:               nil,
		`{}`:                          nil,
		``:                            nil,
		`not JSON`:                    nil,
		`{"auths": ["` + host + `"]}`: nil,
	} {
		got := parseAuthConfig(value)
		slices.Sort(got)
		if !slices.Equal(got, want) {
			t.Errorf("%s: %q, want %q", value, got, want)
		}
	}
	for key, want := range map[string]bool{
		host: true, "https://" + host: true, "https://" + host + "/v1/": true,
		strings.ToUpper(host): true, host + ":443": true,
		"ghcr.io": false, "": false, "x" + host: false, "evil.example/" + host: false,
		strings.Replace(host, "1", "2", 1): false,
	} {
		if isHost(key, host) != want {
			t.Errorf("isHost(%q, %q) = %v", key, host, !want)
		}
	}
}

// commandOutput returns "" for a command that hangs, fails, prints too much or does not exist. It
// passes no secret in the environment.
func TestCommandOutput(t *testing.T) {
	if testing.Short() {
		t.Skip("waits for the limit of a command, 4 seconds (-short)")
	}
	if runtime.GOOS == "windows" {
		t.Skipf("the commands are shell scripts")
	}
	dir := t.TempDir()
	for _, name := range []string{"ACTIONS_ID_TOKEN_REQUEST_TOKEN", "AWS_SECRET_ACCESS_KEY",
		"GITHUB_TOKEN"} {
		t.Setenv(name, "marked")
	}
	t.Setenv("HOME", "/home/user")
	t.Setenv("PATH", dir+string(os.PathListSeparator)+os.Getenv("PATH"))
	for name, script := range map[string]string{
		"prints": "echo; echo yes $1", "fails": "echo yes; exit 1",
		"hangs":   "sleep 300 & echo yes; wait",
		"floods":  "head -c 200000 /dev/zero | tr '\\0' x",
		"environ": "env | grep -E '^(ACTIONS_|AWS_|GITHUB_|HOME=)'",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("#!/bin/sh\n"+script+"\n"),
			0o755); err != nil {
			t.Fatal(err)
		}
	}
	start := time.Now()
	for name, want := range map[string]string{
		"prints": "yes x", "fails": "", "hangs": "", "floods": "", "missing": "",
		"environ": "HOME=/home/user",
	} {
		if got := commandOutput(name, "x"); got != want {
			t.Errorf("%s: %.100q, want %q", name, got, want)
		}
	}
	if took := time.Since(start); took > 20*time.Second {
		t.Errorf("took %v", took)
	}
}
