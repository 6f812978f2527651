// Package e2e drives the built binary against an emulated AWS and CI. Each promise is a script in testdata whose first
// lines say it.
package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

const program = "docker-credential-ecr-oidc"

// built is the folder with the binary under test; TestMain makes and removes it.
var built string

func TestMain(m *testing.M) {
	testscript.Main(suite{m}, map[string]func(){
		"get":    func() { ask("get") },
		"erase":  func() { ask("erase") },
		"store":  func() { ask("store") },
		"docker": standIn, // for the commands of examples/
	})
}

type suite struct{ m *testing.M }

// Run builds the binary once, for coverage too when the tests are run for that.
func (s suite) Run() int {
	dir, err := os.MkdirTemp("", "ecr-oidc-e2e-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	built = dir
	args := []string{"build", "-o", filepath.Join(dir, exe(program))}
	if testing.CoverMode() != "" || os.Getenv("GOCOVERDIR") != "" {
		args = append(args, "-cover", "-coverpkg=../...")
	}
	build := exec.Command("go", append(args, "../cmd/"+program)...)
	if out, err := build.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "building %s: %v\n%s", program, err, out)
		return 1
	}
	return s.m.Run()
}

// ask is what a client does: it runs the helper with one verb and writes its argument to the helper's stdin. Without
// an argument it asks for the usual registry.
func ask(verb string) {
	input := usual
	if len(os.Args) > 1 {
		input = strings.Join(os.Args[1:], " ")
	}
	cmd := exec.Command(program, verb)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(input), os.Stdout, os.Stderr
	if err := cmd.Run(); err != nil {
		if cmd.ProcessState == nil {
			fmt.Fprintln(os.Stderr, err)
		}
		os.Exit(1)
	}
}

func exe(name string) string {
	if runtime.GOOS == "windows" {
		return name + ".exe"
	}
	return name
}

// TestSources looks at every source file of the program and of the orb. Commands build the binary under test and pack the
// orb, which "go test" does not see; without this it would repeat a cached result after a source changed.
func TestSources(t *testing.T) {
	files := 0
	for _, dir := range []string{"../cmd", "../internal", "../go.mod", "../orb", "../install.sh"} {
		err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
			if err == nil && !d.IsDir() && !strings.HasSuffix(path, "_test.go") {
				files++
				_, err = os.Stat(path)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if files < 20 {
		t.Errorf("%d files", files)
	}
}
