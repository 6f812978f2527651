package e2e

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// TestInstallLater checks that later steps of a job find the binary where the CI allows it, and
// that install.sh reports it otherwise.
func TestInstallLater(t *testing.T) {
	t.Parallel()
	inShells(t, func(t *testing.T, shell []string) {
		s := newMirror(t, newRelease(t))
		tools := newToolDir(t, "curl", checksumTool)
		args := []string{"--version", released, "--mirror", s.URL}
		read := func(name string) string {
			b, _ := os.ReadFile(name)
			return string(b)
		}
		t.Run("on PATH", func(t *testing.T) {
			i := newInstallation(t, shell, tools)
			i.env["PATH"] += ":" + i.dir
			if _, stderr := i.mustInstall(args...); strings.Contains(stderr, "PATH") {
				t.Errorf("stderr: %s", stderr)
			}
			other := filepath.Join(i.home, "other")
			_, stderr := i.mustInstall(append(args, "--dir", other)...)
			contains(t, "stderr", stderr, other+" is not on PATH")
			i.env["PATH"] += ":" + other
			_, stderr = i.mustInstall(append(args, "--dir", other)...)
			contains(t, "stderr", stderr, "PATH has "+i.dir+"/"+program+" before "+other+"/"+program)
		})
		t.Run("GitHub Actions", func(t *testing.T) {
			i := newInstallation(t, shell, tools)
			i.env["GITHUB_ACTIONS"], i.env["GITHUB_PATH"] = "true", filepath.Join(i.home, "path")
			stdout, stderr := i.mustInstall(args...)
			contains(t, "stdout", stdout, i.dir+" is on PATH in later steps of this job\n")
			if got := read(i.env["GITHUB_PATH"]); got != i.dir+"\n" || strings.Contains(stderr, "PATH") {
				t.Errorf("GITHUB_PATH has %q; stderr: %s", got, stderr)
			}
		})
		t.Run("relative", func(t *testing.T) {
			i := newInstallation(t, shell, tools)
			script, err := filepath.Abs(i.script)
			if err != nil {
				t.Fatal(err)
			}
			i.script = script
			cmd, _, stderr := i.command(append(args, "--dir", "sub/bin")...)
			cmd.Dir = i.home
			if err := cmd.Run(); err != nil {
				t.Fatalf("%v\n%s", err, stderr)
			}
			i.dir = filepath.Join(i.home, "sub/bin")
			i.requireInstalled([]byte(scriptBinary))
			contains(t, "stderr", stderr.String(), "/sub/bin is not on PATH")
		})
		t.Run("help", func(t *testing.T) {
			stdout, _ := newInstallation(t, shell, tools).mustInstall("--help")
			contains(t, "stdout", stdout, "--version VERSION", "--dir DIR", "--mirror URL", "--sudo")
		})
	})
}

// TestInstallDirInjection checks that the path of the directory cannot add a line to GITHUB_PATH or
// code to BASH_ENV, whether it comes from --dir or from the working directory.
func TestInstallDirInjection(t *testing.T) {
	t.Parallel()
	inShells(t, func(t *testing.T, shell []string) {
		s := newMirror(t, newRelease(t))
		tools := newToolDir(t, "curl", checksumTool)
		script := installScript(t)
		const (
			control   = "the path of the directory contains a control character; specify another with --dir"
			separator = "the directory is .*; its path must not contain a quote or a colon; " +
				"specify another with --dir"
		)
		for _, tt := range []struct{ name, cwd, dir, want string }{
			{"a quote in --dir", "", "it's/bin", separator},
			{"a quote in the working directory", "x';mkdir evil;'", "bin", separator},
			{"a quote above the working directory", "x';mkdir evil;'/y", "../bin", separator},
			{"a colon in the working directory", "x:y", "bin", separator},
			{"a newline in --dir", "", "bin\n/evil", control},
			{"a newline at the end of --dir", "", "bin\n", control},
			{"a newline in the working directory", "x\n", "bin", control},
			{"a newline at the end of the working directory, and .", "x\n", ".", control},
			{"a carriage return in --dir", "", "bin\r/evil", control},
			{"an escape sequence in the working directory", "x\x1b[2J", "bin", control},
			{"an option as --dir", "", "-p", ""},
			{"a command substitution", "$(mkdir evil)`mkdir evil`", "bin", ""},
		} {
			t.Run(tt.name, func(t *testing.T) {
				for _, ci := range []string{"GITHUB_PATH", "BASH_ENV", ""} {
					i := newInstallation(t, shell, tools)
					i.script = script
					cwd := filepath.Join(i.home, tt.cwd)
					if err := os.MkdirAll(cwd, 0o755); err != nil {
						t.Fatal(err)
					}
					i.dir = filepath.Join(cwd, tt.dir)
					switch ci {
					case "GITHUB_PATH":
						i.env["GITHUB_ACTIONS"] = "true"
					case "BASH_ENV":
						i.env["CIRCLECI"] = "true"
					}
					file := filepath.Join(i.home, "written")
					if ci != "" {
						i.env[ci] = file
					}
					cmd, stdout, stderr := i.command(
						"--version", released, "--mirror", s.URL, "--dir", tt.dir,
					)
					cmd.Dir = cwd
					err := cmd.Run()
					written, _ := os.ReadFile(file)
					if tt.want != "" {
						want := regexp.MustCompile("^install.sh: " + tt.want + "\n$")
						if err == nil || !want.Match(stderr.Bytes()) || len(written) > 0 {
							t.Errorf("%v\n%s%s%s has %q\nwant %s", err, stdout, stderr, ci, written, want)
						}
						continue
					}
					if err != nil {
						t.Fatalf("%v\n%s", err, stderr)
					}
					i.requireInstalled([]byte(scriptBinary))
					code := string(written)
					if ci == "GITHUB_PATH" {
						if code != i.dir+"\n" {
							t.Errorf("GITHUB_PATH has %q, want %q", code, i.dir+"\n")
						}
						continue
					} else if ci == "" { // the command in the message
						_, code, _ = strings.Cut(stderr.String(), "; add it: ")
					}
					code += "\ncommand -v " + program
					run := exec.Command(shell[0], slices.Concat(shell[1:], []string{"-c", code})...)
					run.Env, run.Dir = environ(i.env), i.home
					out, err := run.CombinedOutput()
					if err != nil || string(out) != filepath.Join(i.dir, program)+"\n" {
						t.Errorf("%s: %v %s", code, err, out)
					}
					if evil, _ := filepath.Glob(filepath.Join(i.home, "evil*")); len(evil) > 0 {
						t.Errorf("%s executed a part of the directory name", code)
					}
				}
			})
		}
	})
}

// TestInstallTruncated checks that a script that is truncated at any point does nothing.
func TestInstallTruncated(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../install.sh")
	if err != nil {
		t.Fatal(err)
	}
	inShells(t, func(t *testing.T, shell []string) {
		s := newMirror(t, newRelease(t))
		tools := newToolDir(t, "curl", checksumTool)
		i := newInstallation(t, shell, tools)
		i.env["ECR_OIDC_MIRROR"], i.env["ECR_OIDC_VERSION"] = s.URL, released
		pipe := func(text []byte) error {
			cmd := exec.Command(i.shell[0], i.shell[1:]...)
			cmd.Env, cmd.Stdin = environ(i.env), bytes.NewReader(text)
			return cmd.Run()
		}
		end := bytes.LastIndex(text, []byte("{ main"))
		var cuts []int
		for at := range end { // after some of the lines of the functions, and at each byte of the last line
			if text[at] == '\n' && at%7 == 0 {
				cuts = append(cuts, at)
			}
		}
		for at := end; at < len(text)-1; at++ {
			cuts = append(cuts, at)
		}
		for _, at := range cuts {
			pipe(text[:at])
			if requests := s.requests(); len(requests) > 0 {
				t.Fatalf("truncated after %d bytes, at %q: requests %q", at, text[max(0, at-20):at], requests)
			}
		}
		if entries, err := os.ReadDir(i.home); err != nil || len(entries) != 1 {
			t.Errorf("the truncated script created %v, %v", entries, err)
		}
		if err := pipe(text); err != nil {
			t.Errorf("complete script: %v", err)
		}
		i.requireInstalled([]byte(scriptBinary))
	})
}
