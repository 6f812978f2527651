package main

import (
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestReadAction checks the main stage and the defaults of this repository's action, and an error.
func TestReadAction(t *testing.T) {
	t.Parallel()
	a, err := readAction("../..")
	if err != nil {
		t.Fatal(err)
	}
	if want := filepath.Join("..", "..", "action", "main.js"); a.main != want {
		t.Errorf("main: %s, want %s", a.main, want)
	}
	for name, want := range map[string]string{"check": "auto", "docker-config": "job", "github-token": "",
		"job-status": "", "registries": ""} {
		if got := a.defaults[name]; got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	if _, err := readAction(t.TempDir()); err == nil {
		t.Error("a directory without an action is not an error")
	}
}

// TestExported checks both forms of a variable in GITHUB_ENV.
func TestExported(t *testing.T) {
	t.Parallel()
	got := exported("A=1\nB<<END\nx=<<\ny\nEND\r\nC<<E\nz\nE\n\nD=a<<b\n")
	if want := []string{"A=1", "B=x=<<\ny", "C=z", "D=a<<b"}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}

// official writes an action that prints its inputs and exports a variable, like a checkout of an
// official action.
func official(t *testing.T, dir, name, script string) {
	t.Helper()
	dir = filepath.Join(dir, name)
	manifest := "name: x\ninputs:\n  audience:\n    description: main\n    default: 'sts'\n" +
		"  token:\n    default: ${{ github.token }}\noutputs:\n  a:\n    default: no\n" +
		"runs:\n  using: node24\n  main: dist/index.js\n"
	for file, text := range map[string]string{"action.yml": manifest, "dist/index.js": script} {
		file = filepath.Join(dir, filepath.FromSlash(file))
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// TestCompareActions runs this program's action, and two in place of the official ones: the second
// one gets the variables that the first one exports.
func TestCompareActions(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("node"); err != nil {
		t.Skip("node is not on PATH")
	}
	dir, actions := t.TempDir(), t.TempDir()
	official(t, actions, configureAction, `require('node:fs').appendFileSync(process.env.GITHUB_ENV,
		'FROM<<E\n' + [process.env['INPUT_AUDIENCE'], process.env['INPUT_AWS-REGION'], process.env.INPUT_TOKEN] + '\nE\n')`)
	official(t, actions, loginAction, `if (process.env.FROM !== 'sts,eu-west-2,') {
		console.log('FROM is ' + process.env.FROM); process.exit(1) }`)
	built := filepath.Join(dir, "built")
	build := exec.Command("go", "build", "-o", executable(built, program), command)
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if err := copyAction(t.Context(), dir, built); err != nil {
		t.Fatal(err)
	}
	for n := range copies {
		if err := os.CopyFS(filepath.Join(dir, "bin", fmt.Sprint(n)), os.DirFS(built)); err != nil {
			t.Fatal(err)
		}
	}
	server, err := startEmulator("", dir)
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	p := plan{runs: 1, rtt: time.Millisecond, actions: actions}
	b := &bench{table: table{plan: p}, dir: dir, server: server, ctx: t.Context()}
	if err := b.compareActions(); err != nil {
		t.Fatal(err)
	}
	if err := b.check(); err != nil { // the action makes one login, and the get none
		t.Error(err)
	}
	if len(b.rows) != 2 || b.rows[0].peer == "" || len(b.chart.groups) != 1 || len(b.chart.groups[0].bars) != 2 {
		t.Errorf("rows %+v, chart %+v", b.rows, b.chart)
	}

	b.actions = ""
	if err := b.compareActions(); err != nil || b.rows[2].peer != "" || len(b.chart.groups[1].bars) != 1 {
		t.Errorf("%v, rows %+v", err, b.rows)
	}
	script := filepath.Join(actions, loginAction, "dist", "index.js")
	os.WriteFile(script, []byte("console.log('no'); process.exit(1)"), 0o600)
	b.actions = actions
	if err := b.compareActions(); err == nil || !strings.Contains(err.Error(), "exit status 1: no") {
		t.Errorf("an action that fails: %v", err)
	}
}

// TestFillToolCache checks that the files have the layout of action/toolcache.js.
func TestFillToolCache(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := filepath.Join(dir, program)
	if err := os.WriteFile(file, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := fillToolCache(filepath.Join(dir, "tools"), "1.2.3", file); err != nil {
		t.Fatal(err)
	}
	found := map[string]bool{}
	for _, pattern := range []string{"*.complete", "*/" + program} {
		files, _ := filepath.Glob(filepath.Join(dir, "tools", program, "1.2.3", pattern))
		for _, name := range files {
			found[filepath.Base(name)] = true
		}
	}
	if got := slices.Sorted(maps.Keys(found)); len(got) != 2 {
		t.Errorf("%v", got)
	}
}
