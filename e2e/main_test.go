// Package e2e tests the built program against an emulated AWS and CI. The first lines of a script in
// testdata state what it tests.
package e2e

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/ecr-oidc/docker-credential-ecr-oidc/e2e/build"
)

const program = build.Program

// binDir builds the program on first use, into the directory that TestMain removes, and returns that
// directory. The binary measures coverage when the tests are run for that.
var binDir = sync.OnceValue(func() string {
	var flags []string
	if testing.CoverMode() != "" || os.Getenv("GOCOVERDIR") != "" {
		flags = []string{"-cover", "-coverpkg=./..."}
	}
	if _, err := build.Helper(context.Background(), buildDir, flags...); err != nil {
		panic(err)
	}
	return buildDir
})

var buildDir string

// helperPath returns the path of the binary under test.
func helperPath() string { return filepath.Join(binDir(), exe(program)) }

func TestMain(m *testing.M) {
	testscript.Main(suite{m}, map[string]func(){
		"get":    func() { runHelper("get") },
		"erase":  func() { runHelper("erase") },
		"store":  func() { runHelper("store") },
		"docker": standIn, // for the commands of examples/
	})
}

type suite struct{ m *testing.M }

// Run runs the tests, eight for each processor unless -parallel is given: most of them wait.
func (s suite) Run() int {
	dir, err := os.MkdirTemp("", "ecr-oidc-e2e-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	buildDir = dir
	flag.Parse()
	given := false
	flag.Visit(func(f *flag.Flag) { given = given || f.Name == "test.parallel" })
	if !given {
		if err := flag.Set("test.parallel", strconv.Itoa(8*runtime.GOMAXPROCS(0))); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
	}
	return s.m.Run()
}

// runHelper runs the program like a client: with one command, and the argument on stdin. The default
// argument is defaultHost.
func runHelper(command string) {
	input := defaultHost
	if len(os.Args) > 1 {
		input = strings.Join(os.Args[1:], " ")
	}
	cmd := exec.Command(program, command)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(input), os.Stdout, os.Stderr
	if err := cmd.Run(); err != nil {
		if cmd.ProcessState == nil {
			fmt.Fprintln(os.Stderr, err)
		}
		os.Exit(1)
	}
}

// slow skips a test under -short. reason says what takes the time.
func slow(t *testing.T, reason string) {
	t.Helper()
	if testing.Short() {
		t.Skipf("%s (-short)", reason)
	}
}

func exe(name string) string {
	if runtime.GOOS == "windows" {
		return name + ".exe"
	}
	return name
}
