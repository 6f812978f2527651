package main

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

// A tool whose build fails at any step does not exist afterwards.
func TestFailedBuild(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("the stub of the go command is a shell script")
	}
	// The stub does its work even when it fails, so that a later step would succeed.
	const stub = `#!/bin/sh
echo "$*" >>"$CALLS"
case "$*" in
"mod download"*)
	mkdir -p "$MODULE"
	printf '\tgithub.com/docker/docker v1\n' >"$MODULE/vendor.mod"
	echo >"$MODULE/vendor.sum"
	echo "{\"Dir\": \"$MODULE\"}" ;;
build*)
	for argument; do
		if [ "$previous" = -o ]; then echo >"$argument"; fi
		previous=$argument
	done ;;
esac
case "$*" in "$FAIL"*) exit 1 ;; esac
`
	bin := t.TempDir()
	if err := os.WriteFile(filepath.Join(bin, "go"), []byte(stub), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", bin+string(os.PathListSeparator)+os.Getenv("PATH"))
	for name, steps := range map[string][]string{
		"crane":    {"none", "mod init", "get", "build"},
		"docker29": {"none", "mod download", "mod edit", "build"},
	} {
		for _, step := range steps {
			t.Run(name+"/"+step, func(t *testing.T) {
				dir := t.TempDir()
				t.Setenv("MODULE", filepath.Join(t.TempDir(), "module"))
				t.Setenv("CALLS", filepath.Join(dir, "calls"))
				t.Setenv("FAIL", step)
				t.Setenv("ECR_OIDC_CI_TOOLS", dir)
				err := run([]string{name}, false, false)
				binaries, _ := filepath.Glob(filepath.Join(dir, name+"-*", name))
				if good := step == "none"; (err == nil) != good || (len(binaries) == 1) != good {
					t.Errorf("%v, and there is %q", err, binaries)
				}
				if rest, _ := filepath.Glob(filepath.Join(dir, ".build.*")); len(rest) > 0 {
					t.Errorf("%q is left", rest)
				}
				calls, _ := os.ReadFile(filepath.Join(dir, "calls"))
				if err := run([]string{name}, false, false); step == "none" && err != nil {
					t.Error(err)
				}
				again, _ := os.ReadFile(filepath.Join(dir, "calls"))
				if step == "none" && string(again) != string(calls) {
					t.Errorf("it was built again:\n%s", strings.TrimPrefix(string(again), string(calls)))
				}
			})
		}
	}
}

func TestChoose(t *testing.T) {
	chosen, err := choose([]string{"gosec", "clients"})
	if err != nil || len(chosen) < 10 || chosen[0].name != "gosec" || chosen[1].name != "crane" {
		t.Errorf("%v, %v", chosen, err)
	}
	if _, err := choose([]string{"gosek"}); fmt.Sprint(err) != `there is no tool "gosek"` {
		t.Error(err)
	}
}
