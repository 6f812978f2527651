package e2e

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/ecr-oidc/docker-credential-ecr-oidc/e2e/emulator"
)

// The tests of setups run the directories of examples/ without changes. A job pushes and pulls an image
// with the roles that the README creates. AWS refuses other jobs, and the error contains their subject.
const (
	registry = "123456789012.dkr.ecr.eu-west-2.amazonaws.com"
	second   = "210987654321.dkr.ecr.eu-west-2.amazonaws.com"
	commit   = "4b825dc642cb6eb9a060e54bf8d69288fbee4904"
)

// TestPushPolicyMinimal checks that each action of the push policy is required: without it, a request of
// the push or the pull is refused.
func TestPushPolicyMinimal(t *testing.T) {
	t.Parallel()
	actions := regexp.MustCompile(`"(ecr:\w+)"`).FindAllStringSubmatch(
		newExample(t, "github-actions").read("push-policy.json"),
		-1,
	)
	if len(actions) != 8 {
		t.Fatalf("%d actions in push-policy.json", len(actions))
	}
	for _, m := range actions {
		e := newExample(t, "github-actions")
		e.runAWSCommands("What to set")
		role := e.role("app-push")
		role.Policy = strings.Replace(role.Policy, m[1], "ecr:DescribeImages", 1)
		e.setRole(role)
		r, err := e.github("push.yml", emulator.GitHubJob{})
		if err == nil {
			err = r.exec(nil, "docker", "pull", registry+"/app:"+commit)
		}
		want := "not authorized to perform: " + m[1]
		if m[1] == "ecr:BatchCheckLayerAvailability" { // the response to a HEAD has no body
			want = "403 Forbidden (HEAD"
		}
		e.requireRefusal(err, want)
	}
}

// TestExamplesReadmes checks that every directory is in the table of examples/README.md and has a
// README, that the links of a README work, and that a README names every file.
func TestExamplesReadmes(t *testing.T) {
	t.Parallel()
	read := func(path ...string) string {
		b, err := os.ReadFile(filepath.Join(path...))
		if err != nil {
			t.Fatal(err)
		}
		return strings.ReplaceAll(string(b), "\r\n", "\n")
	}
	link := regexp.MustCompile(`\]\(([^)#:]+)[^)]*\)`)
	index := read(examples, "README.md")
	directories, err := os.ReadDir(examples)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range directories {
		if !f.IsDir() {
			continue
		}
		if !strings.Contains(index, "["+f.Name()+"]("+f.Name()+")") {
			t.Errorf("examples/README.md does not list %s", f.Name())
		}
		text := read(examples, f.Name(), "README.md")
		if n := strings.Count(text, "\n"); n > 75 {
			t.Errorf("%s/README.md has %d lines; a page is enough", f.Name(), n)
		}
		for _, m := range link.FindAllStringSubmatch(text, -1) {
			if _, err := os.Stat(filepath.Join(examples, f.Name(), m[1])); err != nil {
				t.Errorf("%s/README.md: %v", f.Name(), err)
			}
		}
		files, err := os.ReadDir(filepath.Join(examples, f.Name()))
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			name := file.Name()
			if f.Name() != "terraform" && name != "README.md" && !strings.HasPrefix(name, ".terraform") &&
				!strings.Contains(text, name) {
				t.Errorf("%s/README.md does not name %s", f.Name(), name)
			}
		}
	}
	// The modules are pinned to one release: Terraform does not accept a tag that moves, such as v0.
	refs := 0
	err = filepath.WalkDir(examples, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		for _, m := range regexp.MustCompile(`[?]ref=([^"]*)"`).FindAllStringSubmatch(read(path), -1) {
			if refs++; m[1] != "v"+released {
				t.Errorf("%s has the module at %s, want v%s", path, m[1], released)
			}
		}
		return nil
	})
	if err != nil || refs == 0 {
		t.Errorf("%d sources of the module: %v", refs, err)
	}
	if !strings.Contains(index, "@COMMIT # v"+released) || !strings.Contains(index, "'v"+released+"^{}'") {
		t.Error("examples/README.md does not describe how to pin the action")
	}
	// The README of the module explains all variables and outputs.
	module := read(examples, "terraform", "README.md")
	for _, file := range []string{"variables.tf", "outputs.tf"} {
		names := regexp.MustCompile(`(?m)^(?:variable|output) "(\w+)"`)
		for _, m := range names.FindAllStringSubmatch(read(examples, "terraform", file), -1) {
			if !strings.Contains(module, "`"+m[1]+"`") {
				t.Errorf("terraform/README.md does not explain %s", m[1])
			}
		}
	}
}
