// Package build builds the program under test for the tests and tools of e2e.
package build

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
)

// Program is the name of the program under test.
const Program = "docker-credential-ecr-oidc"

// Helper builds the program into dir and returns the path of the binary, without symbols like
// a released one. It passes flags to "go build".
//
// "go test" repeats a cached result unless a file changed that the test's own process opened, and
// the compiler is another process. Helper therefore opens the sources of the program itself. A test
// must call it, directly or not: what TestMain opens before it calls m.Run does not count.
func Helper(ctx context.Context, dir string, flags ...string) (string, error) {
	if err := Track("cmd", "internal", "go.mod", "go.sum"); err != nil {
		return "", err
	}
	root, err := moduleRoot()
	if err != nil {
		return "", err
	}
	binary := filepath.Join(dir, Program)
	if runtime.GOOS == "windows" {
		binary += ".exe"
	}
	args := append([]string{"build", "-C", root, "-ldflags=-s -w", "-o", binary}, flags...)
	out, err := exec.CommandContext(ctx, "go", append(args, "./cmd/"+Program)...).CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("building %s: %w\n%s", Program, err, out)
	}
	return binary, nil
}

// Track makes the cached result of the calling test depend on files and directories, which it takes
// relative to the root of the module. A test calls it for files that only its commands read. Test
// files do not count.
func Track(paths ...string) error {
	root, err := moduleRoot()
	if err != nil {
		return err
	}
	for _, path := range paths {
		err := filepath.WalkDir(filepath.Join(root, path), func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || strings.HasSuffix(path, "_test.go") {
				return err
			}
			_, err = os.Stat(path)
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// moduleRoot returns the directory of the go.mod that is nearest above the working directory.
func moduleRoot() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir, nil
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return "", errors.New("no go.mod above the working directory")
		}
		dir = parent
	}
}
