package e2e

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"

	"github.com/ecr-oidc/docker-credential-ecr-oidc/e2e/emulator"
)

// TestReadme checks that the error in README is the one that the program prints, and that the trust
// policy in README admits the job.
func TestReadme(t *testing.T) {
	b, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	readme := strings.ReplaceAll(string(b), "\r\n", "\n")

	j := newJob(t)
	for name, value := range j.server.GitHub(emulator.GitHubJob{Event: "pull_request"}) {
		j.env[name] = value
	}
	j.env["ECR_OIDC_ROLE"], j.env["ECR_ROLE_TO_ASSUME"] = "", emulator.CIRole
	if line, _, err := j.get(defaultHost); err == nil || !strings.Contains(readme, "```\n"+line+"```\n") {
		t.Errorf("README does not show this refusal:\n%s", line)
	}

	policy := regexp.MustCompile("(?s)```json\n(.*?)```").FindStringSubmatch(readme)
	if policy == nil {
		t.Fatal("README shows no trust policy")
	}
	j.server.AddRole(emulator.Role{ARN: emulator.CIRole, Trust: policy[1]})
	for name, value := range j.server.GitHub(emulator.GitHubJob{}) {
		j.env[name] = value
	}
	if out, _, err := j.get(defaultHost); err != nil {
		t.Errorf("README's trust policy does not let the job in: %s", out)
	}
}

// TestReadmeVariables checks that README names every ECR_OIDC variable that internal/config,
// internal/token or the command reads, and no other.
func TestReadmeVariables(t *testing.T) {
	ours := regexp.MustCompile(`\bECR_OIDC_[A-Z_]*[A-Z]\b`)
	read := func(names ...string) map[string]bool {
		found := map[string]bool{}
		for _, name := range names {
			b, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			for _, v := range ours.FindAllString(string(b), -1) {
				found[v] = true
			}
		}
		return found
	}
	documented := read("../README.md")
	var sources []string
	for _, dir := range []string{"internal/config", "internal/token", "internal/cli", "internal/doctor", "internal/debuglog", "cmd/*"} {
		files, err := filepath.Glob("../" + dir + "/*.go")
		if err != nil || len(files) == 0 {
			t.Fatalf("%s: %d files, %v", dir, len(files), err)
		}
		sources = append(sources, slices.DeleteFunc(files, func(f string) bool { return strings.HasSuffix(f, "_test.go") })...)
	}
	used := read(sources...)
	for v := range used {
		if !documented[v] {
			t.Errorf("README does not name %s", v)
		}
	}
	for v := range documented {
		if !used[v] {
			t.Errorf("README names %s, which nothing reads", v)
		}
	}
}

// TestReadmeDoctor checks that the transcript of doctor in README is the one that the program
// prints, as TestDoctorPolicies expects it.
func TestReadmeDoctor(t *testing.T) {
	archive, err := txtar.ParseFile("testdata/doctor/policy/pull-request.txtar")
	if err != nil {
		t.Fatal(err)
	}
	readme, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range archive.Files {
		if f.Name == "stdout" {
			if out := string(f.Data); len(out) < 100 || !strings.Contains(strings.ReplaceAll(string(readme), "\r\n", "\n"), out) {
				t.Errorf("README does not show this:\n%s", out)
			}
			return
		}
	}
	t.Fatal("the archive has no stdout")
}
