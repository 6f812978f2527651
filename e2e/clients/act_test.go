//go:build clients

package clients

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io/fs"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/ecr-oidc/docker-credential-ecr-oidc/e2e/emulator"
)

// The action in workflows that act runs on this machine, as a self-hosted runner would: it installs this build from a
// mirror on loopback, Docker pushes, and what it did is taken back. What act proves is how the parts are wired, the
// post step and its inputs among them, and that action.yml is right by GitHub's own schema, which act has; the job's
// claims are this test's, since act has no issuer (nektos/act#2500).

const spokeHost = bad // the same registry as in the tests of several, which here may be used

// A job with the action, and one beside it, under the same user and to the same host, that logs in by itself: each
// pushes as who it is, and neither finds anything of the other's.
func TestAct(t *testing.T) {
	theirs, err := newJob(t, circle(), host).get(host)
	check(t, err)
	r := newRunner(t, trusted())
	before := r.docker(t)
	aws.ResetCalls()
	out, err := r.act(t, "push.yml", map[string]string{"ECR_ROLE_TO_ASSUME": role, "PASSWORD": theirs.Secret})
	if err != nil {
		t.Fatal(err)
	}
	for image, session := range map[string]string{
		host + "/app:act": "assumed-role/ci/", spokeHost + "/app:act": "assumed-role/spoke/",
		host + "/app:own": "assumed-role/circle/", host + "/app:again": "assumed-role/ci/",
	} {
		if got := pushers(image); len(got) != 1 || !strings.Contains(got[0], session) {
			t.Errorf("%s was pushed by %q, want %s", image, got, session)
		}
	}
	// The other job's own login is in the user's file, as Docker wrote it, and that is all that changed.
	after := r.docker(t)
	var file struct {
		Auths map[string]struct{ Auth string }
	}
	check(t, json.Unmarshal([]byte(after["config.json"]), &file))
	if file.Auths[host].Auth == "" {
		t.Errorf("the other job's login is not there: %s", after["config.json"])
	}
	if strings.Contains(after["config.json"], "ecr-oidc") {
		t.Errorf("something of ours is there: %s", after["config.json"])
	}
	delete(before, "config.json")
	delete(after, "config.json")
	if !maps.Equal(before, after) {
		t.Errorf("the user's folder had %v and has %v", slices.Sorted(maps.Keys(before)), slices.Sorted(maps.Keys(after)))
	}
	for what, secret := range map[string]string{"password": theirs.Secret, "request token": r.env["ACTIONS_ID_TOKEN_REQUEST_TOKEN"]} {
		if strings.Contains(out, secret) {
			t.Errorf("the log has the %s", what)
		}
	}
}

// The summary of a job that AWS refuses has what doctor says of it, and the job's folder is gone all the same.
func TestActFails(t *testing.T) {
	r := newRunner(t, untrusted())
	before := r.docker(t)
	out, err := r.act(t, "fail.yml", map[string]string{"ECR_ROLE_TO_ASSUME": role})
	if err == nil {
		t.Fatal("the job did not fail")
	}
	_, summary, found := strings.Cut(out, "Summary - ### docker-credential-ecr-oidc doctor")
	if !found {
		t.Fatal("the job has no summary")
	}
	for _, want := range []string{"```text", host, "AccessDenied", "repo:acme/app:pull_request"} {
		if !strings.Contains(summary, want) {
			t.Errorf("the summary does not have %q", want)
		}
	}
	if got := pushers(host + "/app:refused"); len(got) != 0 {
		t.Errorf("it was pushed by %q", got)
	}
	if after := r.docker(t); !maps.Equal(before, after) {
		t.Errorf("the user's folder had %v and has %v", before, after)
	}
}

// A reusable workflow uses the action as any other does. Its role trusts the workflow and not the branch, by the subject
// that the repository has chosen; act has no issuer, so that the token says so is this test's doing.
func TestActReusableWorkflow(t *testing.T) {
	const workflow = "acme/gh-actions/.github/workflows/build-and-push.yaml@refs/heads/main"
	const reusable = "arn:aws:iam::" + emulator.Account + ":role/reusable"
	aws.AddFederatedRole(reusable, emulator.GitHubIssuer, "sts.amazonaws.com", "repo:acme/*:*:job_workflow_ref:"+workflow)
	subject := []string{"repo", "context", "job_workflow_ref"}
	r := newRunner(t, aws.GitHubRealHost(emulator.GitHubJob{Ref: "refs/heads/feature", SubjectClaims: subject, ReusableWorkflow: workflow}))
	if _, err := r.act(t, "caller.yml", map[string]string{"ECR_ROLE_TO_ASSUME": reusable}); err != nil {
		t.Fatal(err)
	}
	if got := pushers(host + "/app:reusable"); len(got) != 1 || !strings.Contains(got[0], "assumed-role/reusable/") {
		t.Errorf("it was pushed by %q", got)
	}
	other := newRunner(t, aws.GitHubRealHost(emulator.GitHubJob{SubjectClaims: subject, ReusableWorkflow: strings.Replace(workflow, "main", "feature", 1)}))
	if _, err := other.act(t, "caller.yml", map[string]string{"ECR_ROLE_TO_ASSUME": reusable}); err == nil {
		t.Error("a branch of the workflow's repository was let in")
	}
}

// runner is a machine on which act runs jobs: a home with Docker's plugin in it, a repository with this action and the
// workflows, and a mirror of the release.
type runner struct {
	*job
	repository, meet string
}

func newRunner(t *testing.T, ci map[string]string) *runner {
	t.Helper()
	need(t, "act")
	need(t, "node")
	if path, err := exec.LookPath("cosign"); err == nil {
		skip(t, path, "it is on PATH, and would refuse a release that nobody has signed")
	}
	j := &job{dir: t.TempDir(), env: map[string]string{"LANG": "C", "DOCKER_HOST": engine(t), "ECR_OIDC_MIRROR": mirror(t)}}
	maps.Copy(j.env, ci)
	for _, name := range []string{"home", "scratch", "bin", "meet", "repository"} {
		check(t, os.MkdirAll(filepath.Join(j.dir, name), 0o700))
	}
	r := &runner{j, filepath.Join(j.dir, "repository"), filepath.Join(j.dir, "meet")}
	j.env["HOME"], j.env["TMPDIR"], j.env["MEET"] = j.home(), filepath.Join(j.dir, "scratch"), r.meet
	plugin(t, j, "docker-buildx")

	// The helper that the jobs have is to be the one that the action installs.
	bin := filepath.Join(j.dir, "bin")
	check(t, os.Symlink(newestDocker(t), filepath.Join(bin, "docker")))
	path := []string{bin}
	for _, dir := range filepath.SplitList(os.Getenv("PATH")) {
		if _, err := os.Stat(filepath.Join(dir, "docker-credential-ecr-oidc")); err != nil {
			path = append(path, dir)
		}
	}
	j.env["PATH"] = strings.Join(path, ":")

	for from, to := range map[string]string{"action": "action", "e2e/clients/testdata/act": ".github/workflows"} {
		check(t, os.CopyFS(filepath.Join(r.repository, to), os.DirFS(from)))
	}
	copyFile(t, "action.yml", filepath.Join(r.repository, "action.yml"))
	check(t, os.WriteFile(filepath.Join(r.repository, "Dockerfile"), []byte("FROM scratch\nCOPY action.yml /\n"), 0o644))
	for _, args := range [][]string{
		{"init", "--quiet", "--initial-branch", "main"}, {"add", "."},
		{"-c", "user.name=jane", "-c", "user.email=jane@acme.test", "commit", "--quiet", "-m", "all of it"},
		{"remote", "add", "origin", "https://github.com/acme/app.git"},
	} {
		r.ok(t, need(t, "git"), append([]string{"-C", r.repository}, args...)...)
	}
	return r
}

// act runs a workflow of the repository and returns its log. Its sockets are on loopback: it would look for a route to
// find an address, and there is none here.
func (r *runner) act(t *testing.T, workflow string, secrets map[string]string) (string, error) {
	t.Helper()
	var lines strings.Builder
	for name, value := range secrets {
		fmt.Fprintf(&lines, "%s=%s\n", name, value)
	}
	file := filepath.Join(t.TempDir(), "secrets")
	check(t, os.WriteFile(file, []byte(lines.String()), 0o600))
	out, err := r.try("", need(t, "act"), "push", "-C", r.repository, "-W", ".github/workflows/"+workflow, "-P", "ubuntu-latest=-self-hosted",
		"--container-daemon-socket", "-", "--artifact-server-addr", "127.0.0.1", "--cache-server-addr", "127.0.0.1", "--no-cache-server",
		"--concurrent-jobs", "2", "--secret-file", file, "--var", "REGISTRY="+host, "--var", "SPOKE_REGISTRY="+spokeHost)
	t.Logf("$ act push -W %s\n%s", workflow, out)
	return out, err
}

// docker is what the user's folder of Docker's holds, by name.
func (r *runner) docker(t *testing.T) map[string]string {
	t.Helper()
	found := map[string]string{}
	root := filepath.Join(r.home(), ".docker")
	check(t, filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || strings.HasPrefix(path, filepath.Join(root, "buildx")+"/") { // the builder's own notes
			return err
		}
		name, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		if d.Type()&fs.ModeSymlink != 0 {
			found[name], err = os.Readlink(path)
			return err
		}
		b, err := os.ReadFile(path)
		found[name] = string(b)
		return err
	}))
	return found
}

// mirror serves the version that the action installs by default, with this build in it, as the release has it.
func mirror(t *testing.T) string {
	t.Helper()
	manifest, err := os.ReadFile("action.yml")
	check(t, err)
	m := regexp.MustCompile(`(?m)^  version:\n(?:    .*\n)*?    default: (\S+)$`).FindSubmatch(manifest)
	if m == nil {
		t.Fatal("action.yml names no default version")
	}
	version := string(m[1])
	binary, err := os.ReadFile(need(t, "docker-credential-ecr-oidc"))
	check(t, err)
	var archive bytes.Buffer
	gz := gzip.NewWriter(&archive)
	tw := tar.NewWriter(gz)
	for name, content := range map[string][]byte{"LICENSE": nil, "docker-credential-ecr-oidc": binary} {
		check(t, tw.WriteHeader(&tar.Header{Name: name, Mode: 0o755, Size: int64(len(content))}))
		_, err := tw.Write(content)
		check(t, err)
	}
	check(t, tw.Close())
	check(t, gz.Close())
	name := fmt.Sprintf("docker-credential-ecr-oidc_%s_linux_%s.tar.gz", version, runtime.GOARCH)
	mux := http.NewServeMux()
	serve := func(name string, content []byte) {
		mux.HandleFunc("GET /v"+version+"/"+name, func(w http.ResponseWriter, _ *http.Request) { w.Write(content) })
	}
	serve(name, archive.Bytes())
	serve("checksums.txt", fmt.Appendf(nil, "%x  %s\n", sha256.Sum256(archive.Bytes()), name))
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	return server.URL
}

// pushers is whom the registry let put a manifest under a name.
func pushers(image string) []string {
	registry, rest, _ := strings.Cut(image, "/")
	repository, tag, _ := strings.Cut(rest, ":")
	var found []string
	for _, c := range aws.Calls() {
		if c.Service == "registry" && c.Host == registry && c.Op == http.MethodPut && c.Caller != "" && strings.Contains(c.Detail, repository+"/manifests/"+tag) {
			found = append(found, c.Caller)
		}
	}
	return found
}

func copyFile(t *testing.T, from, to string) {
	t.Helper()
	b, err := os.ReadFile(from)
	check(t, err)
	check(t, os.WriteFile(to, b, 0o644))
}
