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

// TestLoginByAnotherTool runs "docker login" as another tool would. Docker stores the password with
// the helper. Pushes use it until "docker logout", and the helper's own password afterwards.
// Docker's configuration contains neither.
func TestLoginByAnotherTool(t *testing.T) {
	eachDocker(t, func(t *testing.T, d docker) {
		other := newJob(t, circleCIJob(), host)
		otherLogin, err := other.get(host)
		check(t, err)
		j := newJob(t, trustedJob(), host).withEnv("DOCKER_HOST", engine(t)).withEnv("DOCKER_BUILDKIT", "0")
		ref := host + "/app:login-" + d.major()
		j.run(t, d.path, "build", "--tag", ref, buildContext(t, j, "login"+d.major(), "scratch"))
		ownLogin, err := j.get(host)
		check(t, err)

		pushAs(t, j, d, ref, "assumed-role/ci/")
		// amazon-ecr-login, CDK and serverless do the same.
		out, err := j.exec(otherLogin.Secret, d.path, "login", "--username", "AWS", "--password-stdin", host)
		t.Logf("$ docker login --username AWS --password-stdin %s\n%s", host, out)
		check(t, err)
		checkDockerConfig(t, j, otherLogin.Secret, ownLogin.Secret)
		pushAs(t, j, d, ref, "assumed-role/circle/")
		j.run(t, d.path, "pull", ref)
		if a, err := j.get(host); err != nil || a != (credentials{host, "AWS", otherLogin.Secret}) {
			t.Errorf("got user %q and a password of %d bytes, %v; want those of the other tool",
				a.Username, len(a.Secret), err)
		}
		j.checkNoSecrets(t, otherLogin.Secret)

		t.Log(j.run(t, d.path, "logout", host))
		pushAs(t, j, d, ref, "assumed-role/ci/")
		checkDockerConfig(t, j, otherLogin.Secret, ownLogin.Secret)
	})
}

// TestLoginWithoutPassword runs "docker login" without a password. Docker gets the helper's
// password, checks it and stores it with the helper, which does not add a cache entry.
func TestLoginWithoutPassword(t *testing.T) {
	eachDocker(t, func(t *testing.T, d docker) {
		j := newJob(t, trustedJob(), host).withEnv("DOCKER_HOST", engine(t))
		ownLogin, err := j.get(host)
		check(t, err)
		aws.ResetCalls()
		before := countEntries(t, j)
		if out := j.run(t, d.path, "login", host); !strings.Contains(out, "Login Succeeded") {
			t.Error("Docker did not print Login Succeeded")
		}
		if after := countEntries(t, j); after != before || before != 1 {
			t.Errorf("%d cache entries, %d before", after, before)
		}
		wantCalls(t, 0, 0, 0)
		if a, err := j.get(host); err != nil || a.Secret != ownLogin.Secret {
			t.Errorf("get did not return the helper's own password: %v", err)
		}
		checkDockerConfig(t, j, ownLogin.Secret)
	})
	t.Run("denied", func(t *testing.T) {
		eachDocker(t, func(t *testing.T, d docker) {
			j := newJob(t, untrustedJob(), host).withEnv("DOCKER_HOST", engine(t))
			out := j.runFails(t, d.path, "login", host)
			if !strings.Contains(out, "AccessDenied") {
				t.Error("the output does not contain AWS's error code")
			}
			if _, err := j.get(host); err == nil {
				t.Error("get succeeded after the denied login")
			}
		})
	})
}

// TestLoginNotStored checks that "docker login" fails with the reason if the helper cannot store
// the login. Otherwise Docker would lose it silently.
func TestLoginNotStored(t *testing.T) {
	eachDocker(t, func(t *testing.T, d docker) {
		otherLogin, err := newJob(t, circleCIJob(), host).get(host)
		check(t, err)
		j := newJob(t, trustedJob(), host).withEnv("DOCKER_HOST", engine(t)).withEnv("ECR_OIDC_CACHE", "off")
		out, err := j.exec(otherLogin.Secret, d.path, "login", "--username", "AWS", "--password-stdin", host)
		t.Logf("$ docker login --username AWS --password-stdin %s\n%s[%v]", host, out, err)
		if err == nil || !strings.Contains(out, "ECR_OIDC_CACHE is off") {
			t.Error("docker login did not fail with the reason")
		}
		checkDockerConfig(t, j, otherLogin.Secret)
	})
}

// pushAs pushes an image and checks that all authenticated requests are from a role session.
func pushAs(t *testing.T, j *job, d docker, ref, session string) {
	t.Helper()
	aws.ResetCalls()
	j.run(t, d.path, "push", ref)
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
		t.Error("the registry authenticated no request")
	}
	t.Logf("%d requests to the registry as %s", n, session)
}

// checkDockerConfig checks that Docker's configuration contains no login.
func checkDockerConfig(t *testing.T, j *job, passwords ...string) {
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
			t.Errorf("Docker's configuration contains a login for %s", name)
		}
	}
	for _, p := range passwords {
		if strings.Contains(string(b), p) {
			t.Error("Docker's configuration contains a password")
		}
	}
	if file.CredHelpers[host] != "ecr-oidc" {
		t.Errorf("Docker's configuration is now %s", b)
	}
}

// countEntries returns the number of the job's cache entries.
func countEntries(t *testing.T, j *job) int {
	t.Helper()
	n := 0
	check(t, filepath.WalkDir(j.dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && strings.HasSuffix(path, ".enc") {
			n++
		}
		return err
	}))
	return n
}

// TestLoginForAttest runs "docker login" for tools that read only "auths" of ~/.docker/config.json,
// such as actions/attest. Docker writes the password there, unless that file has a credHelpers
// entry for the registry. It prints "Login Succeeded" in both cases.
func TestLoginForAttest(t *testing.T) {
	eachDocker(t, func(t *testing.T, d docker) {
		for name, credHelpers := range map[string]bool{"without": false, "with": true} {
			t.Run(name+" credHelpers in the home directory", func(t *testing.T) {
				// The client logs in without an engine.
				j := newJob(t, trustedJob(), host).withEnv("DOCKER_HOST", "unix:///no/engine")
				login, err := j.get(host)
				check(t, err)
				if !credHelpers { // like the action with docker-config: job
					j = j.withEnv("DOCKER_CONFIG", j.scratch("job"))
					check(t, os.Rename(filepath.Dir(j.dockerConfig()), j.env["DOCKER_CONFIG"]))
				}
				out, err := j.exec("", "sh", "-c", "docker-credential-ecr-oidc password "+host+" | "+
					d.path+" --config ~/.docker login --username AWS --password-stdin "+host)
				check(t, err)
				if !strings.Contains(out, "Login Succeeded") {
					t.Error("Docker did not print Login Succeeded")
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
					t.Errorf("auths has an entry: %v; its login is %d bytes, want %d", ok, len(got.Auth),
						len(want))
				}
				if !credHelpers {
					j.run(t, d.path, "--config", filepath.Dir(j.dockerConfig()), "logout", host)
					if b, err := os.ReadFile(j.dockerConfig()); err != nil ||
						strings.Contains(string(b), want) {
						t.Errorf("docker logout did not remove the login, %v", err)
					}
				}
			})
		}
	})
}
