// Command tools builds the programs that the checks and the release need, each at one version, from
// the Go module proxy. It prints the path of each on a line.
//
//	go run ./packaging/tools [-path] [-continue] NAME...
//
// The programs are in the user's cache directory, or in the directory that ECR_OIDC_CI_TOOLS names.
// A program that is there already is not built again. Of several processes one builds a program, and
// the others wait for it. The name "clients" stands for the programs that e2e/clients runs.
package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/lockedfile"
)

// A tool is one program. TestDocsClients in e2e/clients reads the rows.
type tool struct {
	name, version, path string // path is the import path of its package main
	client              bool   // e2e/clients runs it
}

var tools = []tool{
	{"staticcheck", "v0.8.2", "honnef.co/go/tools/cmd/staticcheck", false},
	{"actionlint", "v1.7.12", "github.com/rhysd/actionlint/cmd/actionlint", false},
	{"gosec", "v2.22.9", "github.com/securego/gosec/v2/cmd/gosec", false},
	{"govulncheck", "v1.1.4", "golang.org/x/vuln/cmd/govulncheck", false},
	{"crane", "v0.22.1", "github.com/google/go-containerregistry/cmd/crane", true},
	{"docker29", "v29.9.3+incompatible", "github.com/docker/cli/cmd/docker", true},
	{"act", "v0.2.89", "github.com/nektos/act", true},
	{"regctl", "v0.11.7", "github.com/regclient/regclient/cmd/regctl", true},
	{"docker-buildx", "v0.29.1", "github.com/docker/buildx/cmd/buildx", true},
	{"buildctl", "v0.25.2", "github.com/moby/buildkit/cmd/buildctl", true},
	{"buildkitd", "v0.25.2", "github.com/moby/buildkit/cmd/buildkitd", true},
	{"docker-compose", "v2.40.3", "github.com/docker/compose/v2/cmd", true},
	{"minio", "v0.0.0-20260212201848-7aac2a2c5b7c", "github.com/minio/minio", true},
	{"helm", "v4.3.1", "helm.sh/helm/v4/cmd/helm", true},
	{"ko", "v0.19.1", "github.com/google/ko", true},
	{"kaniko", "v1.25.3", "github.com/chainguard-dev/kaniko/cmd/executor", true},
	{"docker28", "v28.2.2+incompatible", "github.com/docker/cli/cmd/docker", false},
	{"goreleaser", "v2.12.5", "github.com/goreleaser/goreleaser/v2", false},
	{"syft", "v1.52.0", "github.com/anchore/syft/cmd/syft", false},
	{"cosign", "v3.1.3", "github.com/sigstore/cosign/v3/cmd/cosign", false},
}

func main() {
	pathOnly := flag.Bool("path", false, "print the paths and build nothing")
	goOn := flag.Bool("continue", false, "build the other tools when one fails")
	flag.Parse()
	if err := run(flag.Args(), *pathOnly, *goOn); err != nil {
		fmt.Fprintln(os.Stderr, "tools:", err)
		os.Exit(1)
	}
}

func run(names []string, pathOnly, goOn bool) error {
	dir, err := directory()
	if err != nil {
		return err
	}
	chosen, err := choose(names)
	if err != nil {
		return err
	}
	var failed []error
	for _, t := range chosen {
		binary := filepath.Join(dir, t.name+"-"+t.release(), t.name)
		if !pathOnly {
			if err := t.install(dir, binary); err != nil {
				if failed = append(failed, err); !goOn {
					break
				}
				continue
			}
		}
		fmt.Println(binary)
	}
	return errors.Join(failed...)
}

// directory returns where the tools are.
func directory() (string, error) {
	if dir := os.Getenv("ECR_OIDC_CI_TOOLS"); dir != "" {
		return dir, nil
	}
	cache, err := os.UserCacheDir()
	return filepath.Join(cache, "ecr-oidc-ci", "tools"), err
}

// choose returns the tools of these names, in their order.
func choose(names []string) (chosen []tool, err error) {
	for _, name := range names {
		n := len(chosen)
		for _, t := range tools {
			if t.name == name || name == "clients" && t.client {
				chosen = append(chosen, t)
			}
		}
		if len(chosen) == n {
			return nil, fmt.Errorf("there is no tool %q", name)
		}
	}
	return chosen, nil
}

// release returns the version without the suffix of modules that have no go.mod.
func (t tool) release() string { return strings.TrimSuffix(t.version, "+incompatible") }

// install builds the tool unless the binary exists. A build has a directory of its own, and its
// result is renamed, so that half a build is never used.
func (t tool) install(dir, binary string) error {
	if err := os.MkdirAll(filepath.Dir(binary), 0o755); err != nil {
		return err
	}
	unlock, err := lockedfile.MutexAt(binary + ".lock").Lock()
	if err != nil {
		return err
	}
	defer unlock()
	if _, err := os.Stat(binary); err == nil {
		return nil
	}
	start := time.Now()
	temp, err := os.MkdirTemp(dir, ".build.")
	if err != nil {
		return err
	}
	defer os.RemoveAll(temp)
	built, build := filepath.Join(temp, "built"), t.build
	if strings.HasPrefix(t.path, "github.com/docker/cli/") {
		build = t.buildDocker
	}
	if err := build(temp, built); err != nil {
		return fmt.Errorf("building %s %s: %w", t.name, t.version, err)
	}
	fmt.Fprintf(os.Stderr, "%s %s: built in %v\n", t.name, t.version, time.Since(start).Round(time.Second))
	return os.Rename(built, binary)
}

// build builds a tool in a module of its own: "go install package@version" refuses modules that
// exclude or replace others, as BuildKit's does. Compose requests the version of buildx; the linker
// ignores the flag for programs without that variable.
func (t tool) build(temp, built string) error {
	module, _, _ := strings.Cut(t.path, "/cmd/")
	flags := "-s -w -X " + module + "/version.Version=" + t.version
	for _, args := range [][]string{
		{"mod", "init", "tools"},
		{"get", t.path + "@" + t.version},
		{"build", "-trimpath", "-ldflags", flags, "-o", built, t.path},
	} {
		if _, err := goCommand(temp, args...); err != nil {
			return err
		}
	}
	return nil
}

// buildDocker builds Docker's CLI, which has no go.mod. Its vendor.mod has the same format, and
// selects the modules with which Docker builds it. Only swarmkit is replaced with a release that
// every proxy has: it implements "docker swarm" and "docker service", which no test runs.
func (t tool) buildDocker(temp, built string) error {
	out, err := goCommand(temp, "mod", "download", "-json", strings.TrimSuffix(t.path, "/cmd/docker")+"@"+t.version)
	if err != nil {
		return err
	}
	var module struct{ Dir string }
	if err := json.Unmarshal(out, &module); err != nil {
		return err
	}
	source := filepath.Join(temp, "source")
	if err := os.CopyFS(source, os.DirFS(module.Dir)); err != nil {
		return err
	}
	if err := errors.Join(
		os.RemoveAll(filepath.Join(source, "vendor")),
		os.Rename(filepath.Join(source, "vendor.mod"), filepath.Join(source, "go.mod")),
		os.Rename(filepath.Join(source, "vendor.sum"), filepath.Join(source, "go.sum")),
	); err != nil {
		return err
	}
	requirements, err := os.ReadFile(filepath.Join(source, "go.mod"))
	if err != nil {
		return err
	}
	edit := []string{"mod", "edit", "-replace", "github.com/moby/swarmkit/v2=github.com/moby/swarmkit/v2@v2.1.2"}
	if bytes.Contains(requirements, []byte("\n\tgithub.com/docker/docker ")) { // 28: the same commit, by its tag
		edit = append(edit, "-require", "github.com/docker/docker@"+t.version)
	}
	version := strings.TrimPrefix(t.release(), "v")
	for _, args := range [][]string{edit, {"build", "-trimpath", "-ldflags",
		"-s -w -X github.com/docker/cli/cli/version.Version=" + version, "-o", built, "./cmd/docker"}} {
		if _, err := goCommand(source, args...); err != nil {
			return err
		}
	}
	return nil
}

// goCommand runs the go command and returns its stdout. The error has the last lines of stderr.
func goCommand(dir string, args ...string) ([]byte, error) {
	cmd := exec.Command("go", args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GOWORK=off", "GOFLAGS=-mod=mod", "CGO_ENABLED=0")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		lines := slices.Collect(strings.Lines(stderr.String()))
		return nil, fmt.Errorf("go %s: %w\n%s", args[0], err, strings.Join(lines[max(0, len(lines)-15):], ""))
	}
	return out, nil
}
