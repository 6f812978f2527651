package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/ecr-oidc/docker-credential-ecr-oidc/e2e/build"
)

// TestPathOfAGet measures which files a get executes on GitHub, with one role and no ecr-oidc.yaml,
// and compares them with the table in CONTRIBUTING.md. "go test -run TestPathOfAGet -v" also prints
// the number of statements.
func TestPathOfAGet(t *testing.T) {
	slow(t, "builds the program with coverage")
	if runtime.GOOS != "linux" {
		t.Skip("the table is of Linux, where other files of the same packages are built")
	}
	dir := t.TempDir()
	binary, err := build.Helper(t.Context(), dir, "-cover", "-covermode=set", "-coverpkg=./cmd/...,./internal/...")
	if err != nil {
		t.Fatal(err)
	}
	j := newJob(t)
	run := func(name string) []string {
		j.env["GOCOVERDIR"] = filepath.Join(dir, name)
		if err := os.Mkdir(j.env["GOCOVERDIR"], 0o700); err != nil {
			t.Fatal(err)
		}
		cmd, _, stderr := j.command("get", defaultHost)
		cmd.Path = binary
		if err := cmd.Run(); err != nil {
			t.Fatalf("%s get: %v\n%s", name, err, stderr)
		}
		files, statements, all := covered(t, j.env["GOCOVERDIR"])
		t.Logf("a %s get executes %d files and %d of %d statements", name, len(files), statements, all)
		return files
	}
	first, cached := run("first"), run("cached")

	text, err := os.ReadFile("../CONTRIBUTING.md")
	if err != nil {
		t.Fatal(err)
	}
	var listed, listedCached []string
	for _, row := range regexp.MustCompile("(?m)^\\| `((?:cmd|internal)/[^`]*\\.go)` \\|(.*)\\| (yes|) *\\|$").FindAllStringSubmatch(string(text), -1) {
		listed = append(listed, row[1])
		if row[3] == "yes" {
			listedCached = append(listedCached, row[1])
		}
	}
	slices.Sort(listed)
	slices.Sort(listedCached)
	if !slices.Equal(listed, first) {
		t.Errorf("the table in CONTRIBUTING.md has\n%s\nand a get executes\n%s", strings.Join(listed, "\n"), strings.Join(first, "\n"))
	}
	if !slices.Equal(listedCached, cached) {
		t.Errorf("the table in CONTRIBUTING.md marks as executed by a cached get\n%s\nand one executes\n%s", strings.Join(listedCached, "\n"), strings.Join(cached, "\n"))
	}
}

// covered reads what a program wrote to its GOCOVERDIR.
func covered(t *testing.T, dir string) (files []string, statements, all int) {
	t.Helper()
	profile := filepath.Join(dir, "profile.txt")
	if out, err := exec.Command("go", "tool", "covdata", "textfmt", "-i="+dir, "-o="+profile).CombinedOutput(); err != nil {
		t.Fatalf("go tool covdata: %v\n%s", err, out)
	}
	text, err := os.ReadFile(profile)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		file, rest, ok := strings.Cut(strings.TrimPrefix(line, "github.com/ecr-oidc/"+program+"/"), ":")
		var block string
		var count, times int
		if _, err := fmt.Sscan(rest, &block, &count, &times); !ok || err != nil {
			continue // "mode: set"
		}
		all += count
		if times > 0 {
			statements += count
			files = append(files, file)
		}
	}
	slices.Sort(files)
	return slices.Compact(files), statements, all
}
