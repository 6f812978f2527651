package e2e

import (
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/ecr-oidc/docker-credential-ecr-oidc/e2e/emulator"
)

// The user and the password in the URL of an endpoint or a proxy are in no line of doctor, whether the URL works, fails
// or cannot be parsed.
func TestDoctorRedactsURLs(t *testing.T) {
	t.Parallel()
	const user, password = "marked-user", "marked-S3cr3t" // in all of them is "marked"
	for name, arrange := range map[string]func(t *testing.T, j *job, userinfo string){
		"AWS_ENDPOINT_URL": func(t *testing.T, j *job, userinfo string) {
			delete(j.env, "AWS_ENDPOINT_URL_STS")
			j.env["AWS_ENDPOINT_URL"] = "https://" + userinfo + "@127.0.0.1:1/path"
		},
		"AWS_ENDPOINT_URL_STS": func(t *testing.T, j *job, userinfo string) {
			j.env["AWS_ENDPOINT_URL_STS"] = "https://" + userinfo + "@127.0.0.1:1"
		},
		"AWS_ENDPOINT_URL_ECR, which answers": func(t *testing.T, j *job, userinfo string) {
			j.env["AWS_ENDPOINT_URL_ECR"] = "https://" + userinfo + "@" +
				strings.TrimPrefix(j.server.URL("ecr"), "https://")
		},
		"the AWS configuration file": func(t *testing.T, j *job, userinfo string) {
			j.leaveCI()
			delete(j.env, "AWS_ENDPOINT_URL_ECR")
			j.setKeys()
			j.writeAWSConfig(t, "[default]\nendpoint_url = https://"+userinfo+"@127.0.0.1:1\n")
		},
		"HTTPS_PROXY": func(t *testing.T, j *job, userinfo string) {
			j.env["HTTPS_PROXY"] = "http://" + userinfo + "@127.0.0.1:1"
			j.env["AWS_ENDPOINT_URL_STS"] = "https://sts.example"
		},
		"https_proxy": func(t *testing.T, j *job, userinfo string) {
			j.env["https_proxy"] = "http://" + userinfo + "@127.0.0.1:1"
			j.env["AWS_ENDPOINT_URL_STS"] = "https://sts.example"
		},
		"a proxy without a scheme": func(t *testing.T, j *job, userinfo string) {
			j.env["HTTPS_PROXY"], j.env["AWS_ENDPOINT_URL_STS"] = userinfo+"@127.0.0.1:1", "https://sts.example"
		},
		"a proxy that refuses": func(t *testing.T, j *job, userinfo string) {
			refusal := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				http.Error(w, "refused: "+r.Header.Get("Proxy-Authorization"), http.StatusProxyAuthRequired)
			}))
			t.Cleanup(refusal.Close)
			j.env["HTTPS_PROXY"] = "http://" + userinfo + "@" + refusal.Listener.Addr().String()
			j.env["AWS_ENDPOINT_URL_STS"] = "https://sts.example"
		},
		"HTTP_PROXY": func(t *testing.T, j *job, userinfo string) {
			j.env["HTTP_PROXY"] = "http://" + userinfo + "@127.0.0.1:1"
			j.env["AWS_ENDPOINT_URL_STS"] = "http://sts.example"
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			j := newDoctorJob(t, emulator.Options{})
			j.env["AWS_MAX_ATTEMPTS"] = "1"
			forms := []string{user + ":" + password, user + ":" + password + "@x", user}
			if !strings.Contains(strings.ToLower(name), "proxy") { // Go ignores a proxy whose URL it cannot parse
				forms = append(forms, user+":"+password+"%Pass", user+":"+password+"%zz/x",
					user+":"+password+`"%zz`, user+":"+password+"%zz"+strings.Repeat("x", 700))
			}
			for _, userinfo := range forms {
				arrange(t, j, userinfo)
				for _, args := range [][]string{{usual}, {"--json", usual}} {
					out := j.doctor(t, args...)
					text := out.stdout + out.stderr
					if !strings.Contains(text, usual) {
						t.Fatalf("%+v", out)
					}
					if i := strings.Index(text, "marked"); i >= 0 {
						t.Errorf("%s, %v: %s", userinfo, args, text[max(0, i-200):min(len(text), i+100)])
					}
				}
			}
		})
	}
}

// The docker that doctor asks for its version gets PATH and HOME, and nothing else of the job's environment.
func TestDoctorRunsDockerWithoutTheJobsEnvironment(t *testing.T) {
	t.Parallel()
	skipOnWindows(t)
	j := newDoctorJob(t, emulator.Options{})
	j.setKeys()
	maps.Copy(j.env, map[string]string{
		"GITHUB_TOKEN": "marked-token", "ACTIONS_RUNTIME_TOKEN": "marked-token",
		"ECR_OIDC_TOKEN": "", "DOCKER_AUTH_CONFIG": `{"auths": {}}`,
		"HTTPS_PROXY": "", "NPM_TOKEN": "marked-token",
	})
	dump := filepath.Join(j.dir, "docker-environment")
	script := "#!/bin/sh\n/usr/bin/env >>'" + dump + "'\necho 'Docker version 29.1.3, build 0123456'\n"
	docker := j.writeFile(t, "bin/docker", script)
	if err := os.Chmod(docker, 0o755); err != nil {
		t.Fatal(err)
	}
	if out := j.doctor(t, usual); out.code != 0 || !strings.Contains(out.stdout, "version 29.1.3: Docker's error contains") {
		t.Fatalf("%+v", out)
	}
	text, err := os.ReadFile(dump)
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for line := range strings.Lines(string(text)) {
		name, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "=")
		got[name] = value
	}
	for name, value := range got {
		shells := []string{"PWD", "OLDPWD", "SHLVL", "_"} // which a shell sets for itself
		if !slices.Contains(append(shells, "PATH", "HOME"), name) {
			t.Errorf("docker was run with %s=%.10s", name, value)
		}
	}
	if got["PATH"] != j.env["PATH"] || got["HOME"] != j.env["HOME"] {
		t.Errorf("PATH is %q, HOME is %q", got["PATH"], got["HOME"])
	}
}
