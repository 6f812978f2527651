//go:build clients

package clients

import (
	"encoding/base64"
	"encoding/json"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A "docker login" by another tool is honoured: Docker hands the password to us, pushes go with it until "docker
// logout", and then with ours again. Docker's own file never holds one.
func TestLoginByAnotherTool(t *testing.T) {
	eachDocker(t, func(t *testing.T, d docker) {
		other := newJob(t, circle(), host)
		theirs, err := other.get(host)
		check(t, err)
		j := newJob(t, trusted(), host).with("DOCKER_HOST", engine(t)).with("DOCKER_BUILDKIT", "0")
		ref := host + "/app:login-" + d.major()
		j.ok(t, d.path, "build", "--tag", ref, buildContext(t, j, "login"+d.major(), "scratch"))
		ours, err := j.get(host)
		check(t, err)

		pushedBy(t, j, d, ref, "assumed-role/ci/")
		// amazon-ecr-login, CDK and serverless do no more than this.
		out, err := j.try(theirs.Secret, d.path, "login", "--username", "AWS", "--password-stdin", host)
		t.Logf("$ docker login --username AWS --password-stdin %s\n%s", host, out)
		check(t, err)
		noPassword(t, j, theirs.Secret, ours.Secret)
		pushedBy(t, j, d, ref, "assumed-role/circle/")
		j.ok(t, d.path, "pull", ref)
		if a, err := j.get(host); err != nil || a != (answer{host, "AWS", theirs.Secret}) {
			t.Errorf("get answers as %q with a password of %d bytes, %v; want the other tool's", a.Username, len(a.Secret), err)
		}
		j.leftNothing(t, theirs.Secret)

		t.Log(j.ok(t, d.path, "logout", host))
		pushedBy(t, j, d, ref, "assumed-role/ci/")
		noPassword(t, j, theirs.Secret, ours.Secret)
	})
}

// "docker login" without a password asks us for ours, tries it and hands it back: nothing that needs keeping.
func TestLoginWithoutPassword(t *testing.T) {
	eachDocker(t, func(t *testing.T, d docker) {
		j := newJob(t, trusted(), host).with("DOCKER_HOST", engine(t))
		ours, err := j.get(host)
		check(t, err)
		aws.Reset()
		before := kept(t, j)
		if out := j.ok(t, d.path, "login", host); !strings.Contains(out, "Login Succeeded") {
			t.Error("Docker does not say that the login succeeded")
		}
		if after := kept(t, j); after != before || before != 1 {
			t.Errorf("%d entries are kept, %d before", after, before)
		}
		asked(t, 0, 0, 0)
		if a, err := j.get(host); err != nil || a.Secret != ours.Secret {
			t.Errorf("get does not answer with our own password: %v", err)
		}
		noPassword(t, j, ours.Secret)
	})
	t.Run("refused", func(t *testing.T) {
		eachDocker(t, func(t *testing.T, d docker) {
			j := newJob(t, untrusted(), host).with("DOCKER_HOST", engine(t))
			out := j.refused(t, d.path, "login", host)
			if !strings.Contains(out, "AccessDenied") {
				t.Error("the person does not see AWS's code")
			}
			if _, err := j.get(host); err == nil {
				t.Error("a login is kept all the same")
			}
		})
	})
}

// A login that cannot be kept fails, and says why: Docker would lose it silently else.
func TestLoginThatCannotBeKept(t *testing.T) {
	eachDocker(t, func(t *testing.T, d docker) {
		theirs, err := newJob(t, circle(), host).get(host)
		check(t, err)
		j := newJob(t, trusted(), host).with("DOCKER_HOST", engine(t)).with("ECR_OIDC_CACHE", "off")
		out, err := j.try(theirs.Secret, d.path, "login", "--username", "AWS", "--password-stdin", host)
		t.Logf("$ docker login --username AWS --password-stdin %s\n%s[%v]", host, out, err)
		if err == nil || !strings.Contains(out, "ECR_OIDC_CACHE is off") {
			t.Error("it does not fail with the reason")
		}
		noPassword(t, j, theirs.Secret)
	})
}

// pushedBy pushes, and fails the test unless the registry let in that session and nobody else.
func pushedBy(t *testing.T, j *job, d docker, ref, session string) {
	t.Helper()
	aws.Reset()
	j.ok(t, d.path, "push", ref)
	n := 0
	for _, c := range aws.Calls() {
		if c.Service != "registry" || c.Caller == "" {
			continue
		}
		n++
		if !strings.Contains(c.Caller, session) {
			t.Errorf("%s %s as %s, want %s", c.Op, c.Detail, c.Caller, session)
		}
	}
	if n == 0 {
		t.Error("the registry let nobody in")
	}
	t.Logf("%d requests to the registry as %s", n, session)
}

// noPassword fails the test if Docker's own file has a login in it.
func noPassword(t *testing.T, j *job, passwords ...string) {
	t.Helper()
	b, err := os.ReadFile(j.dockerConfig())
	check(t, err)
	var file struct {
		Auths       map[string]map[string]any
		CredHelpers map[string]string
	}
	check(t, json.Unmarshal(b, &file))
	for name, entry := range file.Auths {
		if len(entry) != 0 {
			t.Errorf("Docker's configuration has a login for %s", name)
		}
	}
	for _, p := range passwords {
		if strings.Contains(string(b), p) {
			t.Error("Docker's configuration has a password in it")
		}
	}
	if file.CredHelpers[host] != "ecr-oidc" {
		t.Errorf("Docker's configuration is now %s", b)
	}
}

// kept counts the job's sealed entries.
func kept(t *testing.T, j *job) int {
	t.Helper()
	n := 0
	check(t, filepath.WalkDir(j.dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && strings.HasSuffix(path, ".sealed") {
			n++
		}
		return err
	}))
	return n
}

// For tools that read only "auths" of ~/.docker/config.json, such as actions/attest: "docker
// login" writes the password there, but not where that file names us for the registry. Docker
// says "Login Succeeded" both times.
func TestLoginForAttest(t *testing.T) {
	eachDocker(t, func(t *testing.T, d docker) {
		for name, credHelpers := range map[string]bool{"none": false, "ours": true} {
			t.Run("credHelpers of the home directory: "+name, func(t *testing.T) {
				j := newJob(t, trusted(), host).with("DOCKER_HOST", "unix:///no/engine") // the client logs in itself
				login, err := j.get(host)
				check(t, err)
				if !credHelpers { // as the action's docker-config: job does
					j = j.with("DOCKER_CONFIG", j.scratch("job"))
					check(t, os.Rename(filepath.Dir(j.dockerConfig()), j.env["DOCKER_CONFIG"]))
				}
				out, err := j.try("", "sh", "-c", "docker-credential-ecr-oidc password "+host+" | "+
					d.path+" --config ~/.docker login --username AWS --password-stdin "+host)
				check(t, err)
				if !strings.Contains(out, "Login Succeeded") {
					t.Errorf("Docker does not say that the login succeeded")
				}
				b, err := os.ReadFile(j.dockerConfig())
				check(t, err)
				var file struct {
					Auths map[string]struct{ Auth string }
				}
				check(t, json.Unmarshal(b, &file))
				want := base64.StdEncoding.EncodeToString([]byte("AWS:" + login.Secret))
				if credHelpers {
					want = ""
				}
				if got, ok := file.Auths[host]; !ok || got.Auth != want {
					t.Errorf("auths has an entry: %v; its login has %d bytes, want %d", ok, len(got.Auth), len(want))
				}
				if !credHelpers {
					j.ok(t, d.path, "--config", filepath.Dir(j.dockerConfig()), "logout", host)
					if b, err := os.ReadFile(j.dockerConfig()); err != nil || strings.Contains(string(b), want) {
						t.Errorf("after docker logout the login is still there, %v", err)
					}
				}
			})
		}
	})
}
