package e2e

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/ecr-oidc/docker-credential-ecr-oidc/e2e/emulator"
)

// External text cannot move the cursor, begin a line or contain a command of GitHub's runner, in text
// and in JSON. The JSON still contains the original text, escaped.
func TestDoctorSanitizesText(t *testing.T) {
	t.Parallel()
	const unsafe = "x\x1b[2J\r\n::error::y\u202e##[add-mask]z\u0000\u2028"
	j := newDoctorJob(t, emulator.Options{})
	b, err := json.Marshal(unsafe)
	if err != nil {
		t.Fatal(err)
	}
	quoted := string(b)
	j.onGitHub(emulator.GitHubJob{Subject: "repo:" + unsafe, Claims: map[string]any{
		"workflow":       unsafe,
		"name " + unsafe: []any{unsafe, map[string]any{unsafe: unsafe}},
	}})
	j.writeDockerConfig(t, `{"credHelpers": {"`+defaultHost+`": `+quoted+`}, "credsStore": `+quoted+`}`)
	j.env["AWS_PROFILE"] = "x\x1b[2J"
	policy := j.writeFile(t, "policy.json", strings.ReplaceAll(`{"Version": "2012-10-17",
		"Statement": {"Sid": @, "Effect": "Allow", "Principal": {"Federated": @}, "Action": @,
		"Condition": {@: {@: @}}}}`, "@", quoted))
	const response = `<ErrorResponse><Error><Code>ValidationError</Code>` +
		`<Message><![CDATA[%s]]></Message></Error></ErrorResponse>`
	for _, message := range []string{"", unsafe} {
		if message != "" {
			body := fmt.Appendf(nil, response, strings.ReplaceAll(message, "\x1b", "\u009b"))
			j.server.AddFault("sts", emulator.Fault{Body: body, Status: 400})
		}
		for _, args := range [][]string{
			{defaultHost}, {"--json", defaultHost},
			{"--trust-policy", policy, defaultHost}, {"--json", "--trust-policy", policy, defaultHost},
		} {
			out := j.doctor(t, args...)
			if out.code != 1 {
				t.Fatalf("%v: %+v", args, out)
			}
			for line := range strings.Lines(out.stdout + out.stderr) {
				line = strings.TrimSuffix(line, "\n")
				if strings.ContainsFunc(line, isUnsafe) || strings.Contains(line, "##[") ||
					strings.HasPrefix(strings.TrimSpace(line), "::") {
					t.Errorf("%v: %q", args, line)
				}
			}
			if args[0] != "--json" {
				continue
			}
			var r struct {
				Registries []struct{ Token struct{ Subject string } }
			}
			if json.Unmarshal([]byte(out.stdout), &r) != nil ||
				r.Registries[0].Token.Subject != "repo:"+unsafe {
				t.Errorf("the subject is %q", r.Registries[0].Token.Subject)
			}
		}
	}
}

func isUnsafe(c rune) bool {
	return !unicode.IsGraphic(c) || unicode.Is(unicode.Cf, c) || c == '\u2028'
}

// pullRequestToken returns a token that role ci does not trust.
func (j *job) pullRequestToken() string {
	return j.server.Mint(emulator.GitHubIssuer, map[string]any{
		"sub": "repo:acme/app:pull_request", "aud": "sts.amazonaws.com",
		"exp": time.Now().Add(time.Hour).Unix(),
	})
}

// doctor does not print the user and the password in the URL of an endpoint or a proxy, whether the
// URL works, fails or cannot be parsed.
func TestDoctorRedactsURLs(t *testing.T) {
	t.Parallel()
	slow(t, "runs doctor with 60 URLs")
	const user, password = "marked-user", "marked-S3cr3t"
	const unreachable = "@127.0.0.1:1"
	proxy := func(variable, scheme string) func(t *testing.T, j *job, userinfo string) {
		return func(t *testing.T, j *job, userinfo string) {
			j.env[variable] = scheme + userinfo + unreachable
			j.env["AWS_ENDPOINT_URL_STS"] = "https://sts.example"
		}
	}
	for name, arrange := range map[string]func(t *testing.T, j *job, userinfo string){
		"AWS_ENDPOINT_URL": func(t *testing.T, j *job, userinfo string) {
			delete(j.env, "AWS_ENDPOINT_URL_STS")
			j.env["AWS_ENDPOINT_URL"] = "https://" + userinfo + unreachable + "/path"
		},
		"AWS_ENDPOINT_URL_STS": func(t *testing.T, j *job, userinfo string) {
			j.env["AWS_ENDPOINT_URL_STS"] = "https://" + userinfo + unreachable
		},
		"AWS_ENDPOINT_URL_ECR that responds": func(t *testing.T, j *job, userinfo string) {
			j.env["AWS_ENDPOINT_URL_ECR"] = "https://" + userinfo + "@" +
				strings.TrimPrefix(j.server.URL("ecr"), "https://")
		},
		"AWS configuration file": func(t *testing.T, j *job, userinfo string) {
			j.leaveCI()
			delete(j.env, "AWS_ENDPOINT_URL_ECR")
			j.setKeys()
			j.writeAWSConfig(t, "[default]\nendpoint_url = https://"+userinfo+unreachable+"\n")
		},
		"HTTPS_PROXY":            proxy("HTTPS_PROXY", "http://"),
		"https_proxy":            proxy("https_proxy", "http://"),
		"proxy without a scheme": proxy("HTTPS_PROXY", ""),
		"proxy that refuses": func(t *testing.T, j *job, userinfo string) {
			refuse := func(w http.ResponseWriter, r *http.Request) {
				http.Error(w, "refused: "+r.Header.Get("Proxy-Authorization"),
					http.StatusProxyAuthRequired)
			}
			s := httptest.NewServer(http.HandlerFunc(refuse))
			t.Cleanup(s.Close)
			j.env["HTTPS_PROXY"] = "http://" + userinfo + "@" + s.Listener.Addr().String()
			j.env["AWS_ENDPOINT_URL_STS"] = "https://sts.example"
		},
		"HTTP_PROXY": func(t *testing.T, j *job, userinfo string) {
			j.env["HTTP_PROXY"] = "http://" + userinfo + unreachable
			j.env["AWS_ENDPOINT_URL_STS"] = "http://sts.example"
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			j := newDoctorJob(t, emulator.Options{})
			j.env["AWS_MAX_ATTEMPTS"] = "1"
			forms := []string{user + ":" + password, user + ":" + password + "@x", user}
			// Go ignores a proxy whose URL it cannot parse.
			if !strings.Contains(strings.ToLower(name), "proxy") {
				forms = append(forms, user+":"+password+"%Pass", user+":"+password+"%zz/x",
					user+":"+password+`"%zz`,
					user+":"+password+"%zz"+strings.Repeat("x", 700))
			}
			for _, userinfo := range forms {
				arrange(t, j, userinfo)
				for _, args := range [][]string{{defaultHost}, {"--json", defaultHost}} {
					out := j.doctor(t, args...)
					text := out.stdout + out.stderr
					if !strings.Contains(text, defaultHost) {
						t.Fatalf("%+v", out)
					}
					if i := strings.Index(text, "marked"); i >= 0 {
						t.Errorf("%s, %v: %s", userinfo, args,
							text[max(0, i-200):min(len(text), i+100)])
					}
				}
			}
		})
	}
}

// doctor runs "docker --version" with PATH and HOME, and without the rest of the job's environment.
func TestDoctorDockerEnvironment(t *testing.T) {
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
	script := "#!/bin/sh\n/usr/bin/env >>'" + dump +
		"'\necho 'Docker version 29.1.3, build 0123456'\n"
	docker := j.writeFile(t, "bin/docker", script)
	if err := os.Chmod(docker, 0o755); err != nil {
		t.Fatal(err)
	}
	const version = "version 29.1.3: Docker's error contains"
	if out := j.doctor(t, defaultHost); out.code != 0 || !strings.Contains(out.stdout, version) {
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
	allowed := []string{"PATH", "HOME", "PWD", "OLDPWD", "SHLVL", "_"} // a shell sets the last four
	for name, value := range got {
		if !slices.Contains(allowed, name) {
			t.Errorf("docker was run with %s=%.10s", name, value)
		}
	}
	if got["PATH"] != j.env["PATH"] || got["HOME"] != j.env["HOME"] {
		t.Errorf("PATH is %q, HOME is %q", got["PATH"], got["HOME"])
	}
}
