package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"
)

// What a trust policy says to claims that were handed over: each near miss is an archive in testdata/doctor/policy, whose
// comment says what is wrong. The program gets the files and no environment at all, and what it prints is compared byte
// for byte.
func TestDoctorPolicies(t *testing.T) {
	t.Parallel()
	archives, err := filepath.Glob("testdata/doctor/policy/*.txtar")
	if err != nil || len(archives) < 20 {
		t.Fatalf("%d archives, %v", len(archives), err)
	}
	for _, path := range archives {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".txtar"), func(t *testing.T) {
			t.Parallel()
			text, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			archive := txtar.Parse([]byte(strings.ReplaceAll(string(text), "\r\n", "\n")))
			dir, args := t.TempDir(), ""
			for _, f := range archive.Files {
				switch f.Name {
				case "args":
					args = string(f.Data)
				case "stdout", "exit":
				default:
					if err := os.WriteFile(filepath.Join(dir, f.Name), f.Data, 0o600); err != nil {
						t.Fatal(err)
					}
				}
			}
			out := bare(t, dir, "", strings.Fields(args)...)
			if out.stderr != "" {
				t.Errorf("stderr: %s", out.stderr)
			}
			got := &txtar.Archive{Comment: archive.Comment}
			got.Files = slices.DeleteFunc(slices.Clone(archive.Files), func(f txtar.File) bool { return f.Name == "stdout" || f.Name == "exit" })
			got.Files = append(got.Files, txtar.File{Name: "stdout", Data: []byte(out.stdout)}, txtar.File{Name: "exit", Data: fmt.Appendln(nil, out.code)})
			golden(t, path, string(txtar.Format(got)))
		})
	}
}

// bare runs doctor in a folder with no environment but what an operating system needs.
func bare(t *testing.T, dir, stdin string, args ...string) outcome {
	t.Helper()
	var stdout, stderr strings.Builder
	cmd := exec.Command(filepath.Join(built, exe(program)), append([]string{"doctor"}, args...)...)
	cmd.Dir, cmd.Stdin, cmd.Stdout, cmd.Stderr = dir, strings.NewReader(stdin), &stdout, &stderr
	cmd.Env = []string{"SystemRoot=" + os.Getenv("SystemRoot")}
	if dir := os.Getenv("GOCOVERDIR"); dir != "" {
		cmd.Env = append(cmd.Env, "GOCOVERDIR="+dir)
	}
	err := cmd.Run()
	if _, exited := err.(*exec.ExitError); err != nil && !exited {
		t.Fatal(err)
	}
	return outcome{stdout.String(), stderr.String(), cmd.ProcessState.ExitCode()}
}
