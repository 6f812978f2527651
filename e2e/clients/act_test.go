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

// These tests run workflows with the action in act, which uses this machine like a self-hosted
// runner. The action installs this build from a mirror on loopback, Docker pushes an image, and the
// post step removes what the action has created. act checks the inputs, the post step and the
// schema of action.yml. It has no OIDC issuer (nektos/act#2500), so the tests set the claims.

// TestAct runs two jobs at the same time, under the same user and with the same registry: one with
// the action, and one that runs "docker login". Each pushes with its own identity, and neither sees
// files of the other.
func TestAct(t *testing.T) {
	otherLogin, err := newJob(t, circleCIJob(), host).get(host)
	check(t, err)
	r := newRunner(t, trustedJob())
	before := r.docker(t)
	aws.ResetCalls()
	out, err := r.act(t, "push.yml", map[string]string{"ECR_ROLE_TO_ASSUME": role, "PASSWORD": otherLogin.Secret})
	if err != nil {
		t.Fatal(err)
	}
	for image, session := range map[string]string{
		host + "/app:act": "assumed-role/ci/", spokeHost + "/app:act": "assumed-role/spoke/",
		host + "/app:own": "assumed-role/circle/", host + "/app:again": "assumed-role/ci/",
	} {
		if got := pushCallers(image); len(got) != 1 || !strings.Contains(got[0], session) {
			t.Errorf("%s was pushed by %q, want %s", image, got, session)
		}
	}
	// The only change of the user's files is the login that Docker has stored for the other job.
	after := r.docker(t)
	var file struct {
		Auths map[string]struct{ Auth string }
	}
	check(t, json.Unmarshal([]byte(after["config.json"]), &file))
	if file.Auths[host].Auth == "" {
		t.Errorf("the login of the other job is missing: %s", after["config.json"])
	}
	if strings.Contains(after["config.json"], "ecr-oidc") {
		t.Errorf("the helper is still registered: %s", after["config.json"])
	}
	delete(before, "config.json")
	delete(after, "config.json")
	if !maps.Equal(before, after) {
		t.Errorf("the files were %v and are %v", slices.Sorted(maps.Keys(before)),
			slices.Sorted(maps.Keys(after)))
	}
	for what, secret := range map[string]string{"password": otherLogin.Secret,
		"request token": r.env["ACTIONS_ID_TOKEN_REQUEST_TOKEN"]} {
		if strings.Contains(out, secret) {
			t.Errorf("the log contains the %s", what)
		}
	}
}

// TestActFails checks the summary of a job that AWS denies: it contains doctor's report. The action
// deletes its directory in this case, too.
func TestActFails(t *testing.T) {
	r := newRunner(t, untrustedJob())
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
			t.Errorf("the summary does not contain %q", want)
		}
	}
	if got := pushCallers(host + "/app:refused"); len(got) != 0 {
		t.Errorf("the image was pushed by %q", got)
	}
	if after := r.docker(t); !maps.Equal(before, after) {
		t.Errorf("the files were %v and are %v", before, after)
	}
}

// TestActReusableWorkflow runs the action in a reusable workflow. Its role trusts the workflow
// instead of the branch, by a customized subject. The test sets the claims, because act has no
// issuer.
func TestActReusableWorkflow(t *testing.T) {
	const workflow = "acme/gh-actions/.github/workflows/build-and-push.yaml@refs/heads/main"
	const reusable = "arn:aws:iam::" + emulator.Account + ":role/reusable"
	aws.AddFederatedRole(reusable, emulator.GitHubIssuer, "sts.amazonaws.com",
		"repo:acme/*:*:job_workflow_ref:"+workflow)
	subject := []string{"repo", "context", "job_workflow_ref"}
	r := newRunner(t, aws.GitHubRealHost(emulator.GitHubJob{Ref: "refs/heads/feature",
		SubjectClaims: subject, ReusableWorkflow: workflow}))
	if _, err := r.act(t, "caller.yml", map[string]string{"ECR_ROLE_TO_ASSUME": reusable}); err != nil {
		t.Fatal(err)
	}
	if got := pushCallers(host + "/app:reusable"); len(got) != 1 ||
		!strings.Contains(got[0], "assumed-role/reusable/") {
		t.Errorf("the image was pushed by %q", got)
	}
	other := newRunner(t, aws.GitHubRealHost(emulator.GitHubJob{SubjectClaims: subject,
		ReusableWorkflow: strings.Replace(workflow, "main", "feature", 1)}))
	if _, err := other.act(t, "caller.yml", map[string]string{"ECR_ROLE_TO_ASSUME": reusable}); err == nil {
		t.Error("another branch of the workflow's repository got a login")
	}
}

// runner is a machine on which act runs jobs. It has a home with Docker's plugins, a repository
// with the action and the workflows, and a mirror of the releases.
type runner struct {
	*job
	repository string
}

func newRunner(t *testing.T, ci map[string]string) *runner {
	t.Helper()
	need(t, "act")
	need(t, "node")
	if path, err := exec.LookPath("cosign"); err == nil {
		skip(t, path, "it is on PATH and would reject the unsigned release")
	}
	j := &job{dir: t.TempDir(), env: map[string]string{"LANG": "C", "DOCKER_HOST": engine(t),
		"ECR_OIDC_MIRROR": releaseMirror(t)}}
	maps.Copy(j.env, ci)
	for _, name := range []string{"home", "scratch", "bin", "sync", "repository"} {
		check(t, os.MkdirAll(filepath.Join(j.dir, name), 0o700))
	}
	r := &runner{j, filepath.Join(j.dir, "repository")}
	j.env["HOME"], j.env["TMPDIR"] = j.home(), filepath.Join(j.dir, "scratch")
	j.env["SYNC_DIR"] = filepath.Join(j.dir, "sync") // the jobs of a workflow wait for each other's files here
	plugin(t, j, "docker-buildx")

	// The helper under test is not on PATH, so that the jobs use the one that the action installs.
	bin := filepath.Join(j.dir, "bin")
	check(t, os.Symlink(newestDocker(t), filepath.Join(bin, "docker")))
	path := []string{bin}
	for _, dir := range filepath.SplitList(os.Getenv("PATH")) {
		if _, err := os.Stat(filepath.Join(dir, "docker-credential-ecr-oidc")); err != nil {
			path = append(path, dir)
		}
	}
	j.env["PATH"] = strings.Join(path, ":")

	for from, to := range map[string]string{"action": "action",
		"e2e/clients/testdata/act": ".github/workflows"} {
		check(t, os.CopyFS(filepath.Join(r.repository, to), os.DirFS(from)))
	}
	copyFile(t, "action.yml", filepath.Join(r.repository, "action.yml"))
	check(t, os.WriteFile(filepath.Join(r.repository, "Dockerfile"),
		[]byte("FROM scratch\nCOPY action.yml /\n"), 0o644))
	for _, args := range [][]string{
		{"init", "--quiet", "--initial-branch", "main"}, {"add", "."},
		{"-c", "user.name=jane", "-c", "user.email=jane@acme.test", "commit", "--quiet", "-m", "initial"},
		{"remote", "add", "origin", "https://github.com/acme/app.git"},
	} {
		r.run(t, need(t, "git"), append([]string{"-C", r.repository}, args...)...)
	}
	return r
}

// act runs a workflow of the repository and returns its log. Its servers are on loopback, because
// it cannot find another address: the network namespace has no route.
func (r *runner) act(t *testing.T, workflow string, secrets map[string]string) (string, error) {
	t.Helper()
	var lines strings.Builder
	for name, value := range secrets {
		fmt.Fprintf(&lines, "%s=%s\n", name, value)
	}
	file := filepath.Join(t.TempDir(), "secrets")
	check(t, os.WriteFile(file, []byte(lines.String()), 0o600))
	out, err := r.exec("", need(t, "act"), "push", "-C", r.repository, "-W",
		".github/workflows/"+workflow, "-P", "ubuntu-latest=-self-hosted",
		"--container-daemon-socket", "-", "--artifact-server-addr", "127.0.0.1", "--cache-server-addr",
		"127.0.0.1", "--no-cache-server",
		"--concurrent-jobs", "2", "--secret-file", file, "--var", "REGISTRY="+host, "--var",
		"SPOKE_REGISTRY="+spokeHost)
	t.Logf("$ act push -W %s\n%s", workflow, out)
	return out, err
}

// docker returns the content of the files in the user's .docker directory, by name.
func (r *runner) docker(t *testing.T) map[string]string {
	t.Helper()
	found := map[string]string{}
	root := filepath.Join(r.home(), ".docker")
	check(t, filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		buildxState := strings.HasPrefix(path, filepath.Join(root, "buildx")+"/")
		if err != nil || d.IsDir() || buildxState {
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

// releaseMirror serves this build as the release that the action installs by default.
func releaseMirror(t *testing.T) string {
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
		mux.HandleFunc("GET /v"+version+"/"+name,
			func(w http.ResponseWriter, _ *http.Request) { w.Write(content) })
	}
	serve(name, archive.Bytes())
	serve("checksums.txt", fmt.Appendf(nil, "%x  %s\n", sha256.Sum256(archive.Bytes()), name))
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	return server.URL
}

// pushCallers returns the principals that have pushed a manifest with an image's name.
func pushCallers(image string) []string {
	registry, rest, _ := strings.Cut(image, "/")
	repository, tag, _ := strings.Cut(rest, ":")
	var found []string
	for _, c := range aws.Calls() {
		if c.Service == "registry" && c.Host == registry && c.Op == http.MethodPut && c.Caller != "" &&
			strings.Contains(c.Detail, repository+"/manifests/"+tag) {
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
