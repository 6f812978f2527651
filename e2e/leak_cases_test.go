package e2e

import (
	"crypto/sha1"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ecr-oidc/docker-credential-ecr-oidc/e2e/emulator"
)

// leakCase is one way through the program.
type leakCase struct {
	arrange func(*leakJob) // before the services respond with known secrets; nil for nothing
	act     func(*leakJob)
}

func leakCases() map[string]leakCase {
	return map[string]leakCase{
		"get": {act: func(j *leakJob) {
			j.succeed(defaultHost, "get")
			j.succeed(defaultHost, "get")
			j.succeed("", "list")
			j.succeed(defaultHost, "erase")
			j.succeed("", "password", defaultHost)
		}},
		"concurrent gets": {act: func(j *leakJob) {
			var all sync.WaitGroup
			for range 8 {
				all.Go(func() { j.try(defaultHost, "get") })
			}
			all.Wait()
		}},
		"concurrent refusals": {arrange: func(j *leakJob) { j.echo("sts", 403) },
			act: func(j *leakJob) {
				var all sync.WaitGroup
				for range 8 {
					all.Go(func() { j.try(defaultHost, "get") })
				}
				all.Wait()
				j.fail(defaultHost, "get")
				j.fail("", "password", defaultHost)
			}},
		"debug log of the GitHub runner": {arrange: func(j *leakJob) {
			j.env["ECR_OIDC_DEBUG"], j.env["RUNNER_DEBUG"] = "", "1"
			j.addFault("ecr", emulator.Fault{Status: 400, Code: "ValidationException",
				Message: "bad: " + j.received("ecr"), Times: 1})
		}, act: func(j *leakJob) {
			j.fail(defaultHost, "get")
			j.succeed(defaultHost, "erase")
			j.succeed(defaultHost, "get")
			if logs, _ := filepath.Glob(filepath.Join(j.env["RUNNER_TEMP"], "ecr-oidc-debug*.log")); len(logs) != 1 {
				j.t.Errorf("log files: %q", logs)
			}
		}},
		"no cache": {arrange: func(j *leakJob) { j.env["ECR_OIDC_CACHE"] = "off" },
			act: func(j *leakJob) { j.succeed(defaultHost, "get") }},
		"GitHub echoes with 500": {arrange: func(j *leakJob) { j.echo("oidc", 500) },
			act: func(j *leakJob) { j.fail(defaultHost, "get") }},
		"GitHub echoes with 400": {arrange: func(j *leakJob) { j.echo("oidc", 400) },
			act: func(j *leakJob) {
				j.fail(defaultHost, "get")
				j.fail(defaultHost, "get")
			}},
		"GitHub echoes as the token": {arrange: func(j *leakJob) {
			b, err := json.Marshal(map[string]string{"value": "not a token " + j.received("oidc")})
			j.must(err)
			j.addFault("oidc", emulator.Fault{Body: b})
		}, act: func(j *leakJob) { j.fail(defaultHost, "get") }},
		"ECR echoes": {arrange: func(j *leakJob) { j.echo("ecr", 400) }, act: func(j *leakJob) {
			j.fail(defaultHost, "get")
			j.fail(defaultHost, "get")
		}},
		"ECR quotes the signed request": {arrange: func(j *leakJob) {
			j.addFault("ecr", emulator.Fault{Status: 403, Code: "InvalidSignatureException",
				Message: "The Canonical String for this request should have been 'POST\n/\n\nx-amz-security-token:" + j.session.SessionToken + "'"})
		}, act: func(j *leakJob) { j.fail(defaultHost, "get") }},
		"access key": {arrange: func(j *leakJob) {
			j.env["ECR_OIDC_ROLE"], j.env["AWS_ACCESS_KEY_ID"] = "", "AKIAIOSFODNN7EXAMPLE"
			j.addFault("ecr", emulator.Fault{Code: "ValidationException",
				Message: j.received("oidc"), Times: 1})
		}, act: func(j *leakJob) {
			j.fail(defaultHost, "get")
			j.succeed(defaultHost, "erase")
			j.succeed("", "password", defaultHost)
		}},
		"role chain": {arrange: func(j *leakJob) {
			j.env["ECR_OIDC_ROLE"] = emulator.CIRole + "," + emulator.SpokeRole
			j.server.AddFault("sts.AssumeRole", emulator.Fault{Code: "ValidationError",
				Message: j.received("sts.AssumeRole"), Times: 1})
		}, act: func(j *leakJob) {
			j.fail(defaultHost, "get")
			j.succeed(defaultHost, "erase")
			j.succeed("", "password", defaultHost)
		}},
		"refresh": {arrange: func(j *leakJob) { j.ttl = time.Second },
			act: func(j *leakJob) { j.refresh(func() {}) }},
		"refresh fails": {arrange: func(j *leakJob) { j.ttl = time.Second },
			act: func(j *leakJob) {
				j.refresh(func() { j.server.ClearFaults(); j.echo("oidc", 503) })
			}},
		"refresh is refused": {arrange: func(j *leakJob) { j.ttl = time.Second },
			act: func(j *leakJob) {
				j.refresh(func() {
					j.server.ClearFaults()
					j.addFault("sts", emulator.Fault{Status: 403, Code: "AccessDenied",
						Message: j.received("sts")})
				})
				j.fail(defaultHost, "get")
			}},
		"store": {act: func(j *leakJob) {
			login := fmt.Sprintf(`{"ServerURL":"https://%s","Username":"AWS","Secret":"%s"}`, defaultHost, markedLogin)
			j.succeed(login, "store")
			j.succeed(defaultHost, "get")
			j.succeed(defaultHost, "erase")
			j.env["ECR_OIDC_CACHE"] = "off"
			j.fail(login, "store")
			j.fail(strings.Replace(login, defaultHost, "ghcr.io", 1), "store")
			j.fail(strings.TrimSuffix(login, "}"), "store")
		}},
		"creds_store": {arrange: func(j *leakJob) {
			j.write("docker/ecr-oidc.yaml", "creds_store: other\n", 0o600)
			j.addProgram("docker-credential-other", `case $1 in
	get) printf '{"ServerURL":"ghcr.io","Username":"jane","Secret":"`+markedOther+`"}' ;;
	list) printf '{"ghcr.io":"jane"}' ;;
	*) cat >/dev/null ;;
	esac`)
		}, act: func(j *leakJob) {
			j.succeed("ghcr.io", "get")
			j.succeed(`{"ServerURL":"ghcr.io","Username":"jane","Secret":"`+markedOther+`"}`, "store")
			j.succeed("", "list")
			j.succeed("ghcr.io", "erase")
			j.succeed(defaultHost, "get")
			j.requireCalled("docker-credential-other")
		}},
		"creds_store fails": {arrange: func(j *leakJob) {
			j.write("docker/ecr-oidc.yaml", "creds_store: other\n", 0o600)
			j.addProgram("docker-credential-other", "cat\nexit 1")
		}, act: func(j *leakJob) {
			j.fail(`{"ServerURL":"ghcr.io","Username":"jane","Secret":"`+markedOther+`"}`, "store")
			j.fail("ghcr.io", "get")
			j.requireCalled("docker-credential-other")
		}},
		"configure": {arrange: func(j *leakJob) {
			j.write("docker/config.json", `{"auths": {"`+defaultHost+`": {"auth": "`+base64.StdEncoding.EncodeToString([]byte("AWS:"+markedLogin))+`"}}}`, 0o600)
			j.allowed[markedLogin] = filepath.Join(j.dir, "docker", "config.json") // and its backups
		}, act: func(j *leakJob) {
			j.succeed("", "configure", "--dry-run", defaultHost)
			j.succeed("", "configure", "--role", "ci", "--source", "github", defaultHost)
			j.succeed("", "configure", "--creds-store=none", defaultHost)
			j.succeed("", "configure", "--remove", defaultHost)
			j.try("", "doctor", defaultHost)
			j.try("", "doctor", "--json", defaultHost)
		}},
		"ECR echoes to doctor": {arrange: func(j *leakJob) { j.echo("ecr", 400) },
			act: func(j *leakJob) {
				j.try("", "doctor", defaultHost)
				j.try("", "doctor", "--json", defaultHost)
			}},
		"CircleCI": {arrange: func(j *leakJob) {
			j.onCI(j.server.Circle(emulator.CircleJob{Expired: true}))
			token := j.server.CircleToken(emulator.CircleJob{})
			j.addSecret(token)
			j.addProgram("circleci", "echo '"+token+"'")
		}, act: func(j *leakJob) {
			j.succeed(defaultHost, "get")
			j.requireCalled("circleci")
		}},
		"circleci command fails": {arrange: func(j *leakJob) {
			j.onCI(j.server.Circle(emulator.CircleJob{}))
			j.env["ECR_OIDC_AUDIENCE"] = "another"
			j.addProgram("circleci", "echo '"+j.server.CircleToken(emulator.CircleJob{})+"'; echo \"no $CIRCLE_OIDC_TOKEN_V2\" >&2; exit 1")
		}, act: func(j *leakJob) {
			j.fail(defaultHost, "get")
			j.requireCalled("circleci")
		}},
		"GitLab": {arrange: func(j *leakJob) { j.onCI(j.server.GitLab(emulator.GitLabJob{})); j.echo("ecr", 400) },
			act: func(j *leakJob) { j.fail(defaultHost, "get") }},
		"Buildkite": {arrange: func(j *leakJob) {
			j.onCI(j.server.Buildkite(emulator.BuildkiteJob{}))
			j.addFault("oidc", emulator.Fault{Status: 422, Code: "x",
				Message: j.env["BUILDKITE_AGENT_ACCESS_TOKEN"], Times: 1})
		}, act: func(j *leakJob) {
			j.fail(defaultHost, "get")
			j.succeed(defaultHost, "erase")
			j.succeed("", "password", defaultHost)
		}},
		"Azure": {arrange: func(j *leakJob) {
			j.onCI(j.server.Azure(emulator.AzureJob{Connection: "ecr-push"}))
			j.addFault("oidc", emulator.Fault{Status: 404, Code: "x",
				Message: j.env["SYSTEM_ACCESSTOKEN"], Times: 1})
		}, act: func(j *leakJob) {
			j.fail(defaultHost, "get")
			j.succeed(defaultHost, "erase")
			j.succeed("", "password", defaultHost)
			j.try("", "doctor", "--json", defaultHost)
		}},
		"Azure URL with a password": {arrange: func(j *leakJob) {
			j.onCI(j.server.Azure(emulator.AzureJob{}))
			j.addSecret("marked-password")
			j.env["SYSTEM_OIDCREQUESTURI"] = "https://user:marked-password@127.0.0.1:1/x?marked-password"
		}, act: func(j *leakJob) { j.fail(defaultHost, "get") }},
		"token file": {arrange: func(j *leakJob) {
			j.env["ECR_OIDC_TOKEN_FILE"] = j.write("token", j.server.CircleToken(emulator.CircleJob{}), 0o600)
			j.echo("sts", 400)
		}, act: func(j *leakJob) { j.fail(defaultHost, "get") }},
		"malformed token": {arrange: func(j *leakJob) { j.env["ECR_OIDC_TOKEN"] = "marked-and-no-token" },
			act: func(j *leakJob) { j.fail(defaultHost, "get") }},
		"credential_process": {arrange: func(j *leakJob) {
			j.offCI()
			j.addSecret("marked+key/of=the-process")
			j.addProgram("give-keys", `echo '{"Version": 1, "AccessKeyId": "AKIAIOSFODNN7EXAMPLE", "SecretAccessKey": "marked+key/of=the-process"}'`)
			j.env["AWS_CONFIG_FILE"] = j.write("aws-config", "[default]\ncredential_process = give-keys\n", 0o600)
			j.addFault("ecr", emulator.Fault{Code: "ValidationException",
				Message: "marked+key/of=the-process", Times: 1})
		}, act: func(j *leakJob) {
			j.fail(defaultHost, "get")
			j.succeed(defaultHost, "erase")
			j.succeed(defaultHost, "get")
			j.requireCalled("give-keys")
		}},
		"credential_process fails": {arrange: func(j *leakJob) {
			j.offCI()
			j.addSecret("marked+key/of=the-process")
			j.addProgram("give-keys", `printf '{"Version": 1, "SecretAccessKey": "marked+key/of=the-process", '; exit 3`)
			j.env["AWS_CONFIG_FILE"] = j.write("aws-config", "[default]\ncredential_process = give-keys\n[profile cut]\ncredential_process = give-keys; true\n", 0o600)
		}, act: func(j *leakJob) {
			j.fail(defaultHost, "get")
			j.env["AWS_PROFILE"] = "cut"
			j.fail(defaultHost, "get")
			j.requireCalled("give-keys")
		}},
		"SSO": {arrange: func(j *leakJob) { j.sso(time.Hour) },
			act: func(j *leakJob) { j.succeed(defaultHost, "get") }},
		"SSO renewal": {arrange: func(j *leakJob) { j.sso(-time.Hour) }, act: func(j *leakJob) {
			j.succeed(defaultHost, "get")
			if j.server.Count("sso.CreateToken") != 1 {
				j.t.Error("the token was not renewed")
			}
		}},
		"SSO renewal is refused": {arrange: func(j *leakJob) {
			j.sso(-time.Hour)
			j.server.AddFault("sso", emulator.Fault{Status: 400, Code: "InvalidGrantException",
				Message: "no"})
		}, act: func(j *leakJob) { j.fail(defaultHost, "get") }},
		"token URL with a password": {arrange: func(j *leakJob) {
			j.addSecret("marked-password")
			j.env["ACTIONS_ID_TOKEN_REQUEST_URL"] = "https://user:marked-password@127.0.0.1:1/x?marked-password"
		}, act: func(j *leakJob) { j.fail(defaultHost, "get") }},
		"endpoint with a password": {arrange: func(j *leakJob) {
			j.addSecret("marked-password")
			j.env["AWS_ENDPOINT_URL_STS"] = "https://user:marked-password@127.0.0.1:1/x?marked-password"
		}, act: func(j *leakJob) { j.fail(defaultHost, "get") }},
		"proxy with a password": {arrange: func(j *leakJob) {
			j.addSecret("marked-password")
			j.env["HTTPS_PROXY"] = "http://user:marked-password@127.0.0.1:1"
			maps.Copy(j.env, j.server.GitHubRealHost(emulator.GitHubJob{})) // a proxy is not used for loopback
		}, act: func(j *leakJob) { j.fail(defaultHost, "get") }},
		// The cases of doctor alone: what a report could quote.
		"CircleCI, expired": {arrange: func(j *leakJob) {
			j.onCI(j.server.Circle(emulator.CircleJob{Expired: true}))
		}, act: func(j *leakJob) { j.try(defaultHost, "get") }},
		"token of another job": {arrange: func(j *leakJob) {
			j.env["ECR_OIDC_TOKEN"] = j.pullRequestToken()
			j.echo("sts", 400)
		}, act: func(j *leakJob) { j.fail(defaultHost, "get") }},
		"endpoint with a password that responds": {arrange: func(j *leakJob) {
			j.addSecret("marked-password")
			j.env["AWS_ENDPOINT_URL_ECR"] = "https://user:marked-password@" +
				strings.TrimPrefix(j.server.URL("ecr"), "https://")
		}, act: func(j *leakJob) { j.try(defaultHost, "get") }},
		"login of docker login": {arrange: func(j *leakJob) {
			j.write("docker/config.json", dockerAuths(markedLogin), 0o600)
		}, act: func(j *leakJob) { j.succeed(defaultHost, "get") }},
		"DOCKER_AUTH_CONFIG": {arrange: func(j *leakJob) {
			j.env["DOCKER_AUTH_CONFIG"] = dockerAuths(markedLogin)
		}, act: func(j *leakJob) { j.succeed(defaultHost, "get") }},
		"secret in ecr-oidc.yaml": {arrange: func(j *leakJob) {
			j.write("docker/ecr-oidc.yaml",
				"default: {audience: x, secret: "+j.env["ACTIONS_ID_TOKEN_REQUEST_TOKEN"]+"}\n", 0o600)
		}, act: func(j *leakJob) { j.fail(defaultHost, "get") }},
		"secret as the source": {arrange: func(j *leakJob) {
			j.env["ECR_OIDC_SOURCE"] = j.env["ACTIONS_ID_TOKEN_REQUEST_TOKEN"]
		}, act: func(j *leakJob) { j.fail(defaultHost, "get") }},
		"token as the role": {arrange: func(j *leakJob) {
			j.env["ECR_OIDC_ROLE"] = j.server.CircleToken(emulator.CircleJob{})
			j.addSecret(j.env["ECR_OIDC_ROLE"])
		}, act: func(j *leakJob) { j.fail(defaultHost, "get") }},
	}
}

// leakFaults runs every fault that does not hang, at each of the three services.
func leakFaults(t *testing.T) {
	t.Parallel()
	var all sync.WaitGroup
	slots := make(chan struct{}, 10)
	for _, c := range faultCases() {
		for _, at := range []struct{ service, want string }{{"oidc", c.oidc}, {"sts", c.sts}, {"ecr", c.ecr}} {
			if at.want == "" || c.slow {
				continue
			}
			j := newLeakJob(t)
			r := &faultRun{faultCase: c, service: at.service, persistent: true, job: j.job}
			t.Cleanup(r.start())
			if r.endpoint == nil {
				f, received := r.serviceFault(), j.received(at.service)
				f.Body = []byte(strings.ReplaceAll(string(f.Body), halfSecret, received))
				f.Message = received + f.Message
				if strings.HasPrefix(f.Code, "one") { // hostileText
					f.Code = received + f.Code
				}
				j.addFault(at.service, f)
			}
			j.respond()
			all.Go(func() {
				slots <- struct{}{}
				defer func() { <-slots }()
				j.fail(defaultHost, "get")
				j.search()
			})
		}
	}
	all.Wait()
}

// dockerAuths returns a Docker configuration with a login for defaultHost.
func dockerAuths(password string) string {
	auth := base64.StdEncoding.EncodeToString([]byte("AWS:" + password))
	return `{"auths": {"` + defaultHost + `": {"auth": "` + auth + `"}}}`
}

// offCI removes the variables of the CI.
func (j *leakJob) offCI() {
	for name := range j.env {
		if name == "CI" || name == "ECR_OIDC_ROLE" || strings.HasPrefix(name, "GITHUB_") ||
			strings.HasPrefix(name, "ACTIONS_") || strings.HasPrefix(name, "RUNNER_") {
			delete(j.env, name)
		}
	}
	j.env["AWS_SECRET_ACCESS_KEY"], j.env["AWS_SESSION_TOKEN"] = "", ""
}

// onCI replaces the variables of the CI.
func (j *leakJob) onCI(env map[string]string) {
	j.offCI()
	maps.Copy(j.env, env)
	j.env["ECR_OIDC_ROLE"] = emulator.CIRole
}

// refresh gets a password, makes a change, and repeats get until it makes a call.
func (j *leakJob) refresh(change func()) {
	j.t.Helper()
	j.succeed(defaultHost, "get")
	change()
	for start, before := time.Now(), len(j.server.Calls()); len(j.server.Calls()) == before; j.try(defaultHost, "get") {
		if time.Since(start) > time.Minute {
			j.t.Fatal("no further call to AWS")
		}
	}
}

// sso writes the files of "aws sso login", with an access token that expires after life and can be renewed.
func (j *leakJob) sso(life time.Duration) {
	j.t.Helper()
	j.offCI()
	const access, refresh, client = "marked+access/token=of-sso", "marked+refresh/token=of-sso", "marked+client/secret=of-sso"
	sum := sha1.Sum([]byte("acme"))
	token, err := json.Marshal(map[string]string{
		"accessToken": access, "expiresAt": time.Now().Add(life).UTC().Format(time.RFC3339),
		"region": "eu-west-2", "startUrl": "https://acme.awsapps.com/start",
		"clientId": "client-id", "clientSecret": client,
		"registrationExpiresAt": time.Now().Add(24 * time.Hour).UTC().Format(time.RFC3339), "refreshToken": refresh,
	})
	j.must(err)
	j.write("home/.aws/sso/cache/"+hex.EncodeToString(sum[:])+".json", string(token), 0o600)
	j.env["AWS_CONFIG_FILE"] = j.write("aws-config", `[default]
sso_session = acme
sso_account_id = `+emulator.Account+`
sso_role_name = Developer
[sso-session acme]
sso_region = eu-west-2
sso_start_url = https://acme.awsapps.com/start
`, 0o600)
	j.env["USERPROFILE"] = j.env["HOME"]
	j.env["AWS_ENDPOINT_URL_SSO"], j.env["AWS_ENDPOINT_URL_SSO_OIDC"] = j.server.URL("sso"), j.server.URL("sso-oidc")
	j.server.AddRole(emulator.Role{ARN: developer, Pull: []string{"app*"}})
	j.server.AddSSOAssignment(access, emulator.Account, "Developer", developer)
	j.server.AddSSORefreshToken(refresh, access)
	for _, secret := range []string{access, refresh, client} {
		j.addSecret(secret)
		j.allowed[secret] = filepath.Join(j.env["HOME"], ".aws", "sso", "cache")
	}
}
