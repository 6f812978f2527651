package repository_test

import (
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"testing"
)

var (
	uses = regexp.MustCompile(`(?m)^([^#\n]*[\s{,-])?uses:[ \t]*(.*)$`)
	// owner/repository[/path]@commit # version, the format that Dependabot updates.
	pinned      = regexp.MustCompile(`^[\w.-]+/[\w.-]+(/[\w./-]+)?@[0-9a-f]{40} # v\d+(\.\d+)*$`)
	isWorkflow  = regexp.MustCompile(`(?m)^jobs:`)
	permissions = regexp.MustCompile(`(?m)^permissions:.*$`)
)

// workflowProblems returns the problems of a workflow or action. Third-party actions must be pinned to a
// commit, with the version in a comment. A workflow must not grant permissions to all jobs.
func workflowProblems(path, text string) (all []string) {
	text = strings.ReplaceAll(text, "\r\n", "\n")
	example := strings.HasPrefix(path, "examples/")
	for _, m := range uses.FindAllStringSubmatch(text, -1) {
		what := strings.TrimSpace(m[2])
		switch {
		case pinned.MatchString(what):
		case strings.HasPrefix(what, "./"): // the same commit
		case example &&
			strings.HasPrefix(what, "ecr-oidc/docker-credential-ecr-oidc@"): // this action
		case example &&
			strings.HasPrefix(what, "acme/"): // a placeholder for the user's repository
		default:
			all = append(all, "not pinned: uses: "+what)
		}
	}
	if !isWorkflow.MatchString(text) || example && !strings.Contains(text, "runs-on:") &&
		!strings.Contains(text, "uses:") {
		return all // an action, or a configuration of another CI
	}
	switch got := permissions.FindString(text); {
	case got == "":
		all = append(all, "no top-level permissions")
	case got != "permissions: {}" && !example:
		all = append(all, got+" at the top level; it must be {}, with permissions for each job")
	}
	return all
}

func TestWorkflows(t *testing.T) {
	seen := 0
	check := func(path string) {
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		seen++
		for _, problem := range workflowProblems(filepath.ToSlash(path), string(b)) {
			t.Errorf("%s: %s", path, problem)
		}
	}
	for _, root := range []string{".github", "examples", "action.yml"} {
		err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
			if ext := filepath.Ext(path); err == nil && !d.IsDir() &&
				(ext == ".yml" || ext == ".yaml") {
				check(path)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if seen < 8 {
		t.Errorf("checked only %d files", seen)
	}
}

// TestWorkflowProblems checks that TestWorkflows can fail.
func TestWorkflowProblems(t *testing.T) {
	const (
		sha  = "de0fac2e4500dabe0009e67214ff5f5447ce83dd"
		top  = "permissions: {}\njobs:\n  a:\n    runs-on: x\n    steps:\n"
		good = "      - uses: actions/checkout@" + sha + " # v6.0.2\n"
	)
	for _, tt := range []struct{ name, path, text, want string }{
		{"pinned", ".github/workflows/a.yml", top + good, ""},
		{"with a path", ".github/workflows/a.yml",
			top + "      - uses: github/codeql-action/init@" + sha + " # v4\n", ""},
		{"carriage returns", ".github/workflows/a.yml",
			strings.ReplaceAll(top+good, "\n", "\r\n"), ""},
		{"after a name", ".github/workflows/a.yml",
			top + "      - name: x\n        uses: a/b@" + sha + " # v1.2\n", ""},
		{"this commit", ".github/workflows/a.yml",
			top + "    uses: ./.github/workflows/ci.yml\n", ""},
		{"comment", ".github/workflows/a.yml", top + "      # uses: actions/checkout@v4\n" +
			good, ""},
		{"tag", ".github/workflows/a.yml", top + "      - uses: actions/checkout@v4\n",
			"not pinned: uses: actions/checkout@v4"},
		{"tag in flow style", ".github/workflows/a.yml",
			top + "      - {uses: actions/checkout@v4}\n", "not pinned"},
		{"no version", ".github/workflows/a.yml", top + "      - uses: actions/checkout@" +
			sha + "\n", "not pinned"},
		{"abbreviated commit", ".github/workflows/a.yml",
			top + "      - uses: actions/checkout@" + sha[:12] + " # v4\n", "not pinned"},
		{"image", ".github/workflows/a.yml", top + "      - uses: docker://alpine:3\n",
			"not pinned"},
		{"quoted", ".github/workflows/a.yml",
			top + "      - uses: \"actions/checkout@v4\"\n", "not pinned"},
		{"this action in a workflow", ".github/workflows/a.yml",
			top + "      - uses: ecr-oidc/docker-credential-ecr-oidc@v0\n", "not pinned"},
		{"this action in an example", "examples/a/a.yml",
			top + "      - uses: ecr-oidc/docker-credential-ecr-oidc@v0\n", ""},
		{"user's workflow in an example", "examples/a/a.yml",
			top + "    uses: acme/actions/.github/workflows/a.yml@main\n", ""},
		{"third-party action in an example", "examples/a/a.yml",
			top + "      - uses: docker/build-push-action@v6\n", "not pinned"},
		{"third-party action in an action", "action.yml",
			"runs:\n  steps:\n    - uses: actions/cache@v4\n", "not pinned"},
		{"action", "action.yml", "runs:\n  using: node24\n", ""},
		{"no permissions", ".github/workflows/a.yml",
			"jobs:\n  a:\n    permissions:\n      contents: read\n    runs-on: x\n",
			"no top-level permissions"},
		{"no permissions in an example", "examples/a/a.yml",
			"jobs:\n  a:\n    runs-on: x\n", "no top-level permissions"},
		{"permissions for all jobs", ".github/workflows/a.yml",
			"permissions: read-all\njobs:\n  a:\n    runs-on: x\n",
			"permissions: read-all at the top level"},
		{"permissions for all jobs of an example", "examples/a/a.yml",
			"permissions:\n  id-token: write\njobs:\n  a:\n    runs-on: x\n", ""},
		{"other CI", "examples/a/config.yml",
			"version: 2.1\njobs:\n  a:\n    docker:\n      - image: x\n", ""},
	} {
		got := strings.Join(workflowProblems(tt.path, tt.text), "; ")
		if tt.want == "" && got != "" || !strings.Contains(got, tt.want) {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
	}
}

// The release creates the artifacts that SECURITY.md describes.
func TestReleases(t *testing.T) {
	read := func(path string) string {
		b, err := os.ReadFile(filepath.FromSlash(path))
		if err != nil {
			t.Fatal(err)
		}
		return strings.ReplaceAll(string(b), "\r\n", "\n")
	}
	const workflow = ".github/workflows/release.yml"
	for path, parts := range map[string][]string{
		"SECURITY.md": {
			":$V\" --repo " + strings.TrimPrefix(module, "github.com/") +
				" \\\n  --deny-self-hosted-runners \\\n  --cert-identity",
			"--bundle checksums.txt.sigstore.json", `--certificate-identity "https://` +
				module + "/" + workflow + `@refs/tags/v$V"`,
			`--cert-identity "https://` + module + "/" + workflow + `@refs/tags/v$V"`,
			"`….spdx.json`", "`THIRD_PARTY_LICENSES`",
			"oci://ghcr.io/" + strings.TrimPrefix(module, "github.com/") + ":$V",
		},
		".goreleaser.yaml": {
			"\n  draft: true\n", "\n  replace_existing_draft: true\n",
			"\n  make_latest: false\n",
			"name_template: checksums.txt", `signature: "${artifact}.sigstore.json"`,
			`documents: ["{{ .ArtifactName }}.spdx.json"]`,
			"packaging/share/THIRD_PARTY_LICENSES",
			"ghcr.io/" + strings.TrimPrefix(module, "github.com/") +
				":{{ .Version }}",
		},
		workflow: {
			"IMAGE: ghcr.io/${{ github.repository }}", `"$IMAGE:${TAG#v}"`,
			"subject-checksums: dist/checksums.txt", "cache: false",
		},
		"packaging/verify.sh": {"/" + workflow + "@refs/tags/$tag",
			"--bundle checksums.txt.sigstore.json", "gh attestation verify"},
	} {
		text := read(path)
		for _, part := range parts {
			if !strings.Contains(text, part) {
				t.Errorf("%s does not contain %s", path, part)
			}
		}
	}
	if strings.Contains(read(workflow), "cache: true") || strings.Contains(read(workflow),
		"actions/cache") {
		t.Error("the release workflow uses a cache")
	}
}

// Every command that verifies a release has the required flags. cosign 2.4 and later 2.x read the
// bundles only with --new-bundle-format. cosign 3 accepts the flag. Without
// --deny-self-hosted-runners, gh accepts provenance of a build on a self-hosted runner.
func TestVerifyCommands(t *testing.T) {
	needs := []struct {
		command *regexp.Regexp // in a document or a script, at the start of a line
		part    *regexp.Regexp // in a program that builds the arguments
		flags   []string
	}{
		{
			regexp.MustCompile(`(?m)^[ \t]*cosign verify-blob .*`),
			regexp.MustCompile(`verify-blob`),
			[]string{"--new-bundle-format", "--bundle ", "--certificate-identity ",
				"--certificate-oidc-issuer "},
		},
		{
			regexp.MustCompile(`(?m)^[ \t]*gh attestation verify .*`),
			regexp.MustCompile(`attestation'?,? '?verify`),
			[]string{"--deny-self-hosted-runners", "--cert-identity ", "--repo "},
		},
	}
	found := 0
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && (path == ".git" || d.Name() == "testdata"):
			return filepath.SkipDir
		case d.IsDir() || strings.Contains(path, "_test.") || strings.Contains(path, ".test."):
			return nil
		}
		switch filepath.Ext(path) {
		case ".md", ".sh", ".ps1", ".js", ".yml", ".yaml":
		default:
			return nil
		}
		b, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		// One line for each command.
		text := regexp.MustCompile(`\\\r?\n`).ReplaceAllString(string(b), " ")
		for _, need := range needs {
			commands := need.command.FindAllString(text, -1)
			found += len(commands)
			for _, command := range commands {
				for _, flag := range need.flags {
					if !strings.Contains(command, flag) {
						t.Errorf("%s: %s is missing in\n%s", path, flag,
							command)
					}
				}
			}
			program := filepath.Ext(path) != ".md" && need.part.MatchString(text)
			if program && !strings.Contains(text, need.flags[0]) {
				t.Errorf("%s: %s is missing", path, need.flags[0])
			}
		}
		return nil
	})
	if err != nil || found < 6 {
		t.Errorf("%d commands, %v", found, err)
	}
}

// A release is published after it has been attested and verified. Writes to other repositories come last,
// and only that job has a secret.
func TestReleaseOrder(t *testing.T) {
	b, err := os.ReadFile(".github/workflows/release.yml")
	if err != nil {
		t.Fatal(err)
	}
	rest := strings.ReplaceAll(string(b), "\r\n", "\n")
	for _, next := range []string{
		"\n  release:\n    needs: test\n", "run: goreleaser release ",
		"actions/attest-build-provenance@", "run: packaging/verify.sh ",
		"actions/upload-artifact@",
		`run: gh release edit "$TAG" --draft=false --latest="$(packaging/highest.sh "$TAG")"`,
		"\n  image:\n    needs: release\n", "run: packaging/verify.sh ", "crane push ",
		`"$(packaging/highest.sh "$TAG")" = true`, "crane tag ",
		"\n  taps:\n    needs: release\n", "secrets.TAP_GITHUB_TOKEN",
		`"$(packaging/highest.sh "$TAG")" = true`, "packaging/tap.sh homebrew-tap ",
		"packaging/tap.sh scoop-bucket ",
	} {
		_, after, found := strings.Cut(rest, next)
		if !found {
			t.Fatalf("%q is missing or in the wrong order", next)
		}
		rest = after
	}
	if before, _, _ := strings.Cut(string(b), "\n  taps:"); strings.Contains(before, "secrets.") {
		t.Error("a job before taps has a secret")
	}
}

// bash runs a script in a temporary directory, with these programs first on PATH.
func bash(t *testing.T, script string, programs map[string]string, env ...string) (string, error) {
	t.Helper()
	if runtime.GOOS == "windows" {
		t.Skipf("release.yml and .ci/run run only on Linux")
	}
	for _, name := range []string{"bash", "git"} {
		if _, err := exec.LookPath(name); err != nil {
			t.Skipf("%s is not on PATH", name)
		}
	}
	bin := t.TempDir()
	for name, text := range programs {
		if err := os.WriteFile(filepath.Join(bin, name), []byte("#!/bin/bash\n"+text),
			0o755); err != nil {
			t.Fatal(err)
		}
	}
	root, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("bash", "-euo", "pipefail", "-c", script)
	cmd.Dir = t.TempDir()
	cmd.Env = append(os.Environ(), append(env, "ROOT="+root, "PATH="+bin+":"+os.Getenv("PATH"),
		"GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_NOSYSTEM=1")...)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// highest.sh prints true only for the highest version, not for a release candidate or a fix of an older
// version.
func TestHighest(t *testing.T) {
	if runtime.GOOS == "darwin" {
		t.Skipf("macOS before 13 has no sort -V, and release.yml runs on Linux")
	}
	out, err := bash(t, `git init -q . && git -c user.name=a -c user.email=a@b.c commit -q --allow-empty -m a
for tag in v0 v0.9.0 v0.10.0 v0.10.1-rc1 v0.2.7 v1.0.0-rc1 v9 vx; do git tag $tag; done
for tag in v0.10.0 v0.9.0 v0.2.7 v0.10.1-rc1 v1.0.0-rc1 v0; do echo "$tag $("$ROOT/packaging/highest.sh" $tag)"; done`, nil)
	if want := "v0.10.0 true\nv0.9.0 false\nv0.2.7 false\nv0.10.1-rc1 false\nv1.0.0-rc1 false\nv0 false\n"; err != nil || out != want {
		t.Errorf("%v\n%swant\n%s", err, out, want)
	}
}

// tap.sh writes a file once. A second run finds it up to date.
func TestTap(t *testing.T) {
	gh := `case "$*" in
*PUT*) for a; do case $a in sha=*) echo "over ${a#sha=}" ;; content=*) base64 -d <<<"${a#content=}" >"$TAP" ;; esac; done; echo "$*" | grep -o 'repos/[^ ]*' ;;
*) if [ -e "$TAP" ]; then git hash-object --no-filters "$TAP"; else echo "not found"; exit 1; fi ;;
esac`
	out, err := bash(t, `export TAP=$PWD/tap GITHUB_REPOSITORY_OWNER=acme TAG=v1.2.3
echo one >file
"$ROOT/packaging/tap.sh" bucket a/b.json file; cmp tap file
"$ROOT/packaging/tap.sh" bucket a/b.json file
echo two >file
"$ROOT/packaging/tap.sh" bucket a/b.json file; cmp tap file`, map[string]string{"gh": gh})
	want := "repos/acme/bucket/contents/a/b.json\nbucket: a/b.json is up to date\nover 5626abf0f72e58d7a153368ba57db4c673c0e171\nrepos/acme/bucket/contents/a/b.json\n"
	if err != nil || out != want {
		t.Errorf("%v\n%swant\n%s", err, out, want)
	}
}
