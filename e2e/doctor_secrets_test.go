package e2e

import (
	"encoding/base64"
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
	j.writeDockerConfig(t, `{"credHelpers": {"`+usual+`": `+quoted+`}, "credsStore": `+quoted+`}`)
	j.env["AWS_PROFILE"] = "x\x1b[2J"
	policy := j.writeFile(t, "policy.json", strings.ReplaceAll(`{"Version": "2012-10-17",
		"Statement": {"Sid": @, "Effect": "Allow", "Principal": {"Federated": @}, "Action": @,
		"Condition": {@: {@: @}}}}`, "@", quoted))
	const response = `<ErrorResponse><Error><Code>ValidationError</Code>` +
		`<Message><![CDATA[%s]]></Message></Error></ErrorResponse>`
	for _, message := range []string{"", unsafe} {
		if message != "" {
			body := fmt.Appendf(nil, response, strings.ReplaceAll(message, "\x1b", "\u009b"))
			j.server.Fail("sts", emulator.Fault{Body: body, Status: 400})
		}
		for _, args := range [][]string{
			{usual}, {"--json", usual},
			{"--trust-policy", policy, usual}, {"--json", "--trust-policy", policy, usual},
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

// echoSecrets makes a service return an error that contains the job's secrets.
func echoSecrets(j *job, service string) {
	secrets := []string{j.env["ACTIONS_ID_TOKEN_REQUEST_TOKEN"], j.env["AWS_SECRET_ACCESS_KEY"],
		j.env["AWS_SESSION_TOKEN"]}
	if service == "sts" {
		j.env["ECR_OIDC_TOKEN"] = j.pullRequestToken()
		secrets = append(secrets, j.env["ECR_OIDC_TOKEN"])
	}
	j.server.Fail(service, emulator.Fault{Status: 400, Code: "ValidationException",
		Message: "bad: " + strings.Join(secrets, " ")})
}

// The output of doctor, including debug lines, contains no secret, also when a service returns one.
func TestDoctorPrintsNoSecret(t *testing.T) {
	t.Parallel()
	encodedLogin := base64.StdEncoding.EncodeToString([]byte("AWS:marked-login"))
	auths := `{"auths": {"` + usual + `": {"auth": "` + encodedLogin + `"}}}`
	for name, arrange := range map[string]func(t *testing.T, j *job){
		"GitHub token":   func(*testing.T, *job) {},
		"CircleCI token": func(t *testing.T, j *job) { j.onCircle(emulator.CircleJob{}) },
		"expired CircleCI token": func(t *testing.T, j *job) {
			j.onCircle(emulator.CircleJob{Expired: true})
		},
		"refused ECR_OIDC_TOKEN": func(t *testing.T, j *job) {
			j.env["ECR_OIDC_TOKEN"] = j.pullRequestToken()
		},
		"ECR_OIDC_TOKEN that is not a JWT": func(t *testing.T, j *job) {
			j.env["ECR_OIDC_TOKEN"] = "marked-token.marked.marked"
		},
		"secrets in the response of STS":    func(t *testing.T, j *job) { echoSecrets(j, "sts") },
		"secrets in the response of ECR":    func(t *testing.T, j *job) { echoSecrets(j, "ecr") },
		"secrets in the response of GitHub": func(t *testing.T, j *job) { echoSecrets(j, "oidc") },
		"GitHub token that is not a JWT": func(t *testing.T, j *job) {
			j.server.Fail("oidc", emulator.Fault{Body: []byte(`{"value": "marked-value"}`)})
		},
		"password in a URL": func(t *testing.T, j *job) {
			j.env["AWS_ENDPOINT_URL_ECR"] = "https://user:marked-password@" +
				strings.TrimPrefix(j.server.URL("ecr"), "https://")
		},
		"login in auths": func(t *testing.T, j *job) { j.writeDockerConfig(t, auths) },
		"login in DOCKER_AUTH_CONFIG": func(t *testing.T, j *job) {
			j.env["DOCKER_AUTH_CONFIG"] = auths
		},
		"stored login": func(t *testing.T, j *job) { j.storeLogin(t, usual) },
		"secret in ecr-oidc.yaml": func(t *testing.T, j *job) {
			j.env["ECR_OIDC_CONFIG"] = j.writeFile(t, "ecr-oidc.yaml",
				"default: {audience: x, secret: "+
					j.env["ACTIONS_ID_TOKEN_REQUEST_TOKEN"]+"}\n")
		},
		"secret in ECR_OIDC_SOURCE": func(t *testing.T, j *job) {
			j.env["ECR_OIDC_SOURCE"] = j.env["ACTIONS_ID_TOKEN_REQUEST_TOKEN"]
		},
		"token in ECR_OIDC_ROLE": func(t *testing.T, j *job) {
			j.env["ECR_OIDC_ROLE"] = j.server.CircleToken(emulator.CircleJob{})
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			j := newDoctorJob(t, emulator.Options{})
			j.env["AWS_SECRET_ACCESS_KEY"] = "marked/secret+key"
			j.env["AWS_SESSION_TOKEN"] = "marked/session+token="
			j.env["ECR_OIDC_DEBUG"], j.env["AWS_MAX_ATTEMPTS"] = "1", "1"
			arrange(t, j)
			stdout, _, _ := j.get(usual)
			var login struct{ Secret string }
			if json.Unmarshal([]byte(stdout), &login) != nil {
				login.Secret = "marked"
			}
			secrets := []string{
				"marked", login.Secret, j.env["ACTIONS_ID_TOKEN_REQUEST_TOKEN"],
				j.env["ECR_OIDC_TOKEN"], j.env["CIRCLE_OIDC_TOKEN"],
				j.env["CIRCLE_OIDC_TOKEN_V2"],
				"eyJ",              // a JWT
				"IQoJb3JpZ2luX2Vj", // a session token of AWS
				base64.StdEncoding.EncodeToString([]byte("AWS:marked"))[:12],
			}
			for _, args := range [][]string{{usual}, {"--json", usual}} {
				out := j.doctor(t, args...)
				text := out.stdout + out.stderr
				for _, secret := range secrets {
					if i := strings.Index(text, secret); secret != "" && i >= 0 {
						t.Errorf("%v: the output contains %.8s...: %s", args, secret,
							text[max(0, i-200):min(len(text), i+50)])
					}
				}
			}
		})
	}
}

// doctor does not print the user and the password in the URL of an endpoint or a proxy, whether the
// URL works, fails or cannot be parsed.
func TestDoctorRedactsURLs(t *testing.T) {
	t.Parallel()
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
				for _, args := range [][]string{{usual}, {"--json", usual}} {
					out := j.doctor(t, args...)
					text := out.stdout + out.stderr
					if !strings.Contains(text, usual) {
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
	if out := j.doctor(t, usual); out.code != 0 || !strings.Contains(out.stdout, version) {
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
