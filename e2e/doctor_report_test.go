package e2e

import (
	"encoding/base64"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/txtar"

	"github.com/ecr-oidc/docker-credential-ecr-oidc/e2e/emulator"
)

const (
	spoke     = emulator.SpokeAccount + ".dkr.ecr." + emulator.Region + ".amazonaws.com"
	public    = "public.ecr.aws"
	reportDir = "testdata/doctor/report"

	userProfile = "[profile dev]\naws_access_key_id = " + emulator.AccessKeyID +
		"\naws_secret_access_key = " + emulator.SecretAccessKey + "\n"
)

// mainBranchTrust is the trust policy of role ci.
var mainBranchTrust = emulator.GitHubTrust("repo:acme/app:ref:refs/heads/main")

// trustOtherRepository changes the trust policy of role ci, which then refuses the job.
func (j *job) trustOtherRepository() {
	j.server.AddRole(emulator.Role{
		ARN: emulator.CIRole, Push: []string{"*"},
		Trust: emulator.GitHubTrust("repo:acme/another:ref:refs/heads/main"),
	})
}

// trustMainBranch restores the trust policy of role ci.
func (j *job) trustMainBranch() {
	j.server.AddRole(emulator.Role{
		ARN: emulator.CIRole, Push: []string{"*"}, Trust: mainBranchTrust,
	})
}

// cacheFailure makes a get fail, and then restores the trust policy.
func (j *job) cacheFailure(t *testing.T) {
	t.Helper()
	j.trustOtherRepository()
	if _, _, err := j.get(defaultHost); err == nil {
		t.Fatal("get succeeded, want a refusal")
	}
	j.trustMainBranch()
}

// cachePassword makes a get succeed.
func (j *job) cachePassword(t *testing.T) {
	t.Helper()
	if _, stderr, err := j.get(defaultHost); err != nil {
		t.Fatalf("%v: %s", err, stderr)
	}
}

// storeLogin stores a login as another tool does.
func (j *job) storeLogin(t *testing.T, host string) {
	t.Helper()
	login := fmt.Sprintf(`{"ServerURL": %q, "Username": "AWS", "Secret": "marked-password"}`, host)
	if _, stderr, err := j.run("store", login); err != nil {
		t.Fatal(stderr)
	}
}

// arrange prepares a job and returns the arguments of doctor.
type arrange func(t *testing.T, j *job) (args []string)

// The whole output of a run is the golden file testdata/doctor/report/NAME.txt.
func TestDoctorReports(t *testing.T) {
	t.Parallel()
	skipOnWindows(t)
	for name, arrange := range map[string]arrange{
		"good": func(*testing.T, *job) []string { return nil },
		"refused": func(t *testing.T, j *job) []string {
			j.onGitHub(pullRequest)
			return []string{defaultHost}
		},
		"refused-policy": func(t *testing.T, j *job) []string {
			j.onGitHub(pullRequest)
			policy := j.writeFile(t, "policy.json", mainBranchTrust)
			return []string{"--trust-policy", policy, defaultHost}
		},
		"chain": func(t *testing.T, j *job) []string {
			j.env["ECR_OIDC_ROLE"] = emulator.CIRole + "," + emulator.PusherRole
			return []string{"https://" + strings.ToUpper(defaultHost) + "/v2/"}
		},
		"keys-only": func(t *testing.T, j *job) []string {
			j.server.AddUser(emulator.User{
				ARN: emulator.CIUser, AccessKeyID: emulator.AccessKeyID,
				SecretAccessKey: emulator.SecretAccessKey,
			})
			j.setKeys()
			delete(j.env, "ECR_OIDC_ROLE")
			return nil
		},
		"circleci": func(t *testing.T, j *job) []string {
			j.onCircle(emulator.CircleJob{})
			return nil
		},
		"no-permission": func(t *testing.T, j *job) []string {
			j.onGitHub(emulator.GitHubJob{NoIDToken: true})
			return nil
		},
		"sudo": func(t *testing.T, j *job) []string {
			j.leaveCI()
			j.env["SUDO_UID"] = "1000"
			return nil
		},
		"profile": func(t *testing.T, j *job) []string {
			j.leaveCI()
			j.writeAWSConfig(t, userProfile)
			j.env["AWS_PROFILE"], j.env["ECR_OIDC_ROLE"] = "dev", "pusher"
			return nil
		},
		"sso-expired": func(t *testing.T, j *job) []string {
			j.leaveCI()
			j.writeAWSConfig(t, ssoConfig("profile dev"))
			j.env["ECR_OIDC_PROFILE"] = "dev"
			return nil
		},
		// The role of one account does not exist, and public.ecr.aws has no role.
		"several": func(t *testing.T, j *job) []string {
			j.setCredHelpers(t, spoke, defaultHost, public)
			j.env["ECR_OIDC_ROLE_"+emulator.SpokeAccount] = "no-such-role"
			return nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			j := newDoctorJob(t, emulator.Options{})
			args := arrange(t, j)
			got := j.formatRun(args, j.doctor(t, args...))
			golden(t, filepath.Join(reportDir, name+".txt"), got)
		})
	}
}

// ssoConfig returns an AWS configuration file with an SSO profile in this section.
func ssoConfig(section string) string {
	return "[sso-session acme]\nsso_start_url = https://acme.awsapps.com/start\n" +
		"sso_region = eu-west-2\n[" + section + "]\nsso_session = acme\n" +
		"sso_account_id = 123456789012\nsso_role_name = Developer\n"
}

// A reportCase is a run of doctor. A golden file contains a part of its output.
type reportCase struct {
	name    string
	arrange arrange // nil arguments select defaultHost
	options emulator.Options
}

// testReports runs each case in its own emulator, and compares them with one golden file, which is a
// txtar archive. It contains the checks that are not ok and the checks with these names.
func testReports(t *testing.T, file string, checks []string, cases []reportCase) {
	t.Parallel()
	skipOnWindows(t)
	var mu sync.Mutex
	texts := map[string]string{}
	t.Run("cases", func(t *testing.T) {
		for _, c := range cases {
			t.Run(c.name, func(t *testing.T) {
				t.Parallel()
				j := newDoctorJob(t, c.options)
				args := c.arrange(t, j)
				if args == nil {
					args = []string{defaultHost}
				}
				text := j.formatChecks(j.doctor(t, args...), checks...)
				mu.Lock()
				defer mu.Unlock()
				texts[c.name] = text
			})
		}
	})
	var got txtar.Archive
	for _, c := range cases {
		got.Files = append(got.Files, txtar.File{Name: c.name, Data: []byte(texts[c.name])})
	}
	golden(t, filepath.Join(reportDir, file), string(txtar.Format(&got)))
}

func unchanged(*testing.T, *job) []string { return nil }

func TestDoctorHints(t *testing.T) {
	event := func(j *job, t *testing.T, headRepository string) {
		j.env["GITHUB_EVENT_PATH"] = j.writeFile(t, "event.json", `{"pull_request": {"head": `+
			`{"repo": `+headRepository+`}, "base": {"repo": {"full_name": "acme/app"}}}}`)
	}
	noToken := pullRequest
	noToken.NoIDToken = true
	shiftClock := func(by time.Duration) emulator.Options {
		return emulator.Options{Clock: func() time.Time { return time.Now().Add(by) }}
	}
	testReports(t, "hints.txt", nil, []reportCase{
		{name: "long-lived key and a token", arrange: func(t *testing.T, j *job) []string {
			j.setKeys()
			return nil
		}},
		{name: "fork, role in a secret", arrange: func(t *testing.T, j *job) []string {
			j.onGitHub(noToken)
			event(j, t, `{"full_name": "mallory/app"}`)
			delete(j.env, "ECR_OIDC_ROLE")
			return nil
		}},
		{name: "fork, role in the workflow", arrange: func(t *testing.T, j *job) []string {
			j.onGitHub(noToken)
			event(j, t, `{"full_name": "mallory/app"}`)
			return nil
		}},
		{name: "deleted fork", arrange: func(t *testing.T, j *job) []string {
			j.onGitHub(noToken)
			event(j, t, `null`)
			return nil
		}},
		{name: "pull request without a fork", arrange: func(t *testing.T, j *job) []string {
			j.onGitHub(noToken)
			event(j, t, `{"full_name": "acme/app"}`)
			return nil
		}},
		{name: "pull_request_target", arrange: func(t *testing.T, j *job) []string {
			j.onGitHub(emulator.GitHubJob{Event: "pull_request_target", NoIDToken: true})
			event(j, t, `{"full_name": "mallory/app"}`)
			return nil
		}},
		{name: "fork on CircleCI", arrange: func(t *testing.T, j *job) []string {
			j.onCircle(emulator.CircleJob{})
			for _, name := range []string{"ECR_OIDC_ROLE", "CIRCLE_OIDC_TOKEN",
				"CIRCLE_OIDC_TOKEN_V2"} {
				delete(j.env, name)
			}
			j.env["CIRCLE_PR_USERNAME"], j.env["CIRCLE_PR_REPONAME"] = "mallory", "app"
			return nil
		}},
		{name: "container without the job's variables", arrange: func(t *testing.T, j *job) []string {
			j.leaveCI()
			j.env["ECR_OIDC_ROLE"] = emulator.CIRole
			return nil
		}},
		{name: "profiles in the AWS configuration", arrange: func(t *testing.T, j *job) []string {
			j.leaveCI()
			j.writeAWSConfig(t, userProfile+"[profile admin]\nregion = eu-west-2\n")
			return nil
		}},
		{name: "one profile in a dev container", arrange: func(t *testing.T, j *job) []string {
			j.leaveCI()
			j.env["CODESPACES"] = "true"
			j.writeAWSConfig(t, userProfile)
			return nil
		}},
		{name: "dev container without profiles", arrange: func(t *testing.T, j *job) []string {
			j.leaveCI()
			j.env["REMOTE_CONTAINERS"] = "true"
			j.env["AWS_CONFIG_FILE"] = filepath.Join(j.dir, "none")
			return nil
		}},
		{name: "mistyped profile", arrange: func(t *testing.T, j *job) []string {
			j.leaveCI()
			j.writeAWSConfig(t, strings.Replace(userProfile, "dev", "dev-sso", 1)+"[profile admin]\n")
			j.env["ECR_OIDC_PROFILE"] = "dev-ssso"
			return nil
		}},
		{name: "half a key on a machine", arrange: func(t *testing.T, j *job) []string {
			j.leaveCI()
			j.writeAWSConfig(t, userProfile)
			j.env["AWS_ACCESS_KEY_ID"], j.env["AWS_PROFILE"] = emulator.AccessKeyID, "dev"
			return nil
		}},
		{name: "secret without its key on a machine", arrange: func(t *testing.T, j *job) []string {
			j.leaveCI()
			j.env["AWS_SECRET_ACCESS_KEY"] = emulator.SecretAccessKey
			return nil
		}},
		{name: "runner in EKS", arrange: func(t *testing.T, j *job) []string {
			j.env["AWS_WEB_IDENTITY_TOKEN_FILE"] = "/var/run/secrets/eks/token"
			j.env["AWS_CONTAINER_CREDENTIALS_FULL_URI"] = "http://169.254.170.23/v1/credentials"
			return nil
		}},
		{name: "clock behind", options: shiftClock(7 * time.Hour), arrange: unchanged},
		{name: "clock ahead", options: shiftClock(-10 * time.Minute), arrange: unchanged},
		{name: "untrusted certificate, CA bundle", arrange: func(t *testing.T, j *job) []string {
			ca := newJob(t).server.CAPEM()
			j.env["AWS_CA_BUNDLE"] = j.writeFile(t, "corporate.pem", string(ca))
			return nil
		}},
		{name: "untrusted certificate behind a proxy", arrange: func(t *testing.T, j *job) []string {
			maps.Copy(j.env, j.server.GitHubRealHost(emulator.GitHubJob{}))
			for _, name := range []string{"AWS_CA_BUNDLE", "AWS_ENDPOINT_URL_STS",
				"AWS_ENDPOINT_URL_ECR"} {
				delete(j.env, name)
			}
			j.env["HTTPS_PROXY"] = strings.Replace(j.server.ProxyURL(), "http://",
				"http://user:marked-password@", 1)
			ca := newJob(t).server.CAPEM()
			j.env["SSL_CERT_FILE"] = j.writeFile(t, "roots.pem", string(ca))
			return nil
		}},
	})
}

// Settings that are set and not used, each with what is used instead, and variables that do not exist.
func TestDoctorIgnored(t *testing.T) {
	onGitHub := func(file string, pairs ...string) arrange {
		return func(t *testing.T, j *job) []string {
			if file != "" {
				j.writeFile(t, "home/.docker/ecr-oidc.yaml", file)
			}
			for _, pair := range pairs {
				name, value, _ := strings.Cut(pair, "=")
				j.env[name] = value
			}
			return nil
		}
	}
	onMachine := func(file string, pairs ...string) arrange {
		return func(t *testing.T, j *job) []string {
			j.leaveCI()
			j.writeAWSConfig(t, userProfile)
			return onGitHub(file, pairs...)(t, j)
		}
	}
	const (
		other   = "arn:aws:iam::123456789012:role/other"
		account = "accounts:\n  \"123456789012\":\n    "
	)
	testReports(t, "ignored.txt", nil, []reportCase{
		{name: "profile in a variable and in the file",
			arrange: onMachine(account+"profile: dev\n", "ECR_OIDC_PROFILE=admin")},
		{name: "profile of the default and in a variable",
			arrange: onMachine("default:\n  profile: admin\n", "ECR_OIDC_PROFILE=dev")},
		{name: "two variables", arrange: onMachine("", "ECR_OIDC_PROFILE=admin",
			"ECR_OIDC_PROFILE_123456789012=dev")},
		{name: "AWS_PROFILE and keys", arrange: onMachine("", "ECR_OIDC_PROFILE=dev", "AWS_PROFILE=admin",
			"AWS_ACCESS_KEY_ID=x", "AWS_SECRET_ACCESS_KEY=marked-secret")},
		{name: "profile in a CI", arrange: onGitHub("", "ECR_OIDC_PROFILE=dev", "AWS_PROFILE=admin")},
		{name: "roles", arrange: onGitHub("", "AWS_ROLE_ARN="+other, "ECR_ROLE_TO_ASSUME="+emulator.CIRole)},
		{name: "role of a pair", arrange: onGitHub("", "ECR_OIDC_ROLE=", "AWS_ROLE_ARN="+other,
			"AWS_WEB_IDENTITY_TOKEN_FILE=/x", "AWS_ACCESS_KEY_ID=x", "AWS_SECRET_ACCESS_KEY=marked-secret")},
		{name: "settings of a token", arrange: onMachine("", "ECR_OIDC_PROFILE=dev", "ECR_OIDC_AUDIENCE=acme",
			"ECR_OIDC_SESSION_NAME=deploy", "ECR_OIDC_AZURE_SERVICE_CONNECTION=id")},
		{name: "external ID without AssumeRole", arrange: onGitHub("", "ECR_OIDC_EXTERNAL_ID=marked-id")},
		{name: "mistyped variable", arrange: onGitHub("", "ECR_OIDC_ROLE=", "ECR_OIDC_ROEL=ci")},
	})
}

// Docker's configuration, its version, and PATH.
func TestDoctorDocker(t *testing.T) {
	config := func(text string) arrange {
		return func(t *testing.T, j *job) []string { j.writeDockerConfig(t, text); return nil }
	}
	version := func(v string) arrange {
		return func(t *testing.T, j *job) []string { j.installDocker(t, v); return nil }
	}
	authConfig := func(text string) arrange {
		return func(t *testing.T, j *job) []string { j.env["DOCKER_AUTH_CONFIG"] = text; return nil }
	}
	login := `{"auth": "` + base64.StdEncoding.EncodeToString([]byte("AWS:marked-password")) + `"}`
	ours := `"credHelpers": {"` + defaultHost + `": "ecr-oidc"}`
	others := `"credHelpers": {"` + defaultHost + `": "ecr-login"}`
	const controls = `x\u001b[2J\n::error::y\u202e##[add-mask]z`
	testReports(t, "docker.txt", []string{"docker", "PATH"}, []reportCase{
		{name: "credHelpers entry", arrange: version("29.0.0")},
		{name: "no entry", arrange: config(`{"credHelpers": {"ghcr.io": "gh"}}`)},
		{name: "no entry, credsStore", arrange: config(`{"credsStore": "desktop"}`)},
		{name: "entry of another helper", arrange: config(`{` + others + `}`)},
		{name: "credsStore of this helper", arrange: config(`{"credsStore": "ecr-oidc"}`)},
		{name: "credsStore of this helper, entry of another helper",
			arrange: config(`{"credsStore": "ecr-oidc", ` + others + `}`)},
		{name: "login in auths",
			arrange: config(`{` + ours + `, "auths": {"https://` + defaultHost + `": ` + login + `}}`)},
		{name: "empty entry in auths",
			arrange: config(`{` + ours + `, "auths": {"` + defaultHost + `": {}}}`)},
		{name: "no file", arrange: func(t *testing.T, j *job) []string {
			j.env["DOCKER_CONFIG"] = filepath.Join(j.dir, "none")
			return nil
		}},
		{name: "empty file", arrange: config("")},
		{name: "syntax error", arrange: config("{\n\"credHelpers\": {},\n}")},
		{name: "credHelpers of another type", arrange: config(`{"credHelpers": ["ecr-oidc"]}`)},
		{name: "directory instead of a file", arrange: func(t *testing.T, j *job) []string {
			j.env["DOCKER_CONFIG"] = filepath.Join(j.dir, "odd")
			j.writeFile(t, "odd/config.json/x", "")
			return nil
		}},
		{name: "DOCKER_AUTH_CONFIG",
			arrange: authConfig(`{"auths": {"` + defaultHost + `": ` + login + `}}`)},
		{name: "DOCKER_AUTH_CONFIG for another registry",
			arrange: authConfig(`{"auths": {"ghcr.io": ` + login + `}}`)},
		{name: "control characters",
			arrange: config(`{"credHelpers": {"` + defaultHost + `": "` + controls + `"}}`)},
		{name: "not on PATH", arrange: func(t *testing.T, j *job) []string {
			j.installDocker(t, "29.0.0")
			j.env["PATH"] = filepath.Join(j.dir, "bin")
			return nil
		}},
		{name: "Docker 28.5", arrange: version("28.5.1")},
		{name: "Docker 28.4", arrange: version("28.4.0")},
		{name: "Docker 20.10", arrange: version("20.10.25+dfsg1")},
		{name: "no Docker", arrange: version("")},
	})
}

// The cache, cached failures, and logins that another tool stored.
func TestDoctorCache(t *testing.T) {
	slow(t, "runs doctor on many caches")
	setCacheDir := func(t *testing.T, j *job) string {
		path := filepath.Join(j.dir, "runner", fmt.Sprintf("ecr-oidc-%d", os.Getuid()))
		j.env["ECR_OIDC_CACHE_DIR"] = path
		return path
	}
	// The user's cache directory has the same path as on macOS.
	setUserCacheDir := func(j *job) {
		j.env["XDG_CACHE_HOME"] = filepath.Join(j.dir, "home", "Library", "Caches")
	}
	testReports(t, "cache.txt", []string{"cache", "login"}, []reportCase{
		{name: "no directory", arrange: unchanged},
		{name: "empty directory", arrange: func(t *testing.T, j *job) []string {
			if err := os.Mkdir(setCacheDir(t, j), 0o700); err != nil {
				t.Fatal(err)
			}
			return nil
		}},
		{name: "password", arrange: func(t *testing.T, j *job) []string {
			j.cachePassword(t)
			return nil
		}},
		{name: "password, AWS refuses now", arrange: func(t *testing.T, j *job) []string {
			j.cachePassword(t)
			j.trustOtherRepository()
			return nil
		}},
		{name: "usable password, AWS does not respond",
			options: emulator.Options{SessionTTL: time.Second},
			arrange: func(t *testing.T, j *job) []string {
				j.cachePassword(t)
				j.server.AddFault("sts", emulator.Fault{Status: 503})
				j.env["AWS_MAX_ATTEMPTS"] = "1"
				j.waitForDoctor(t, "only if AWS does not respond")
				return nil
			}},
		{name: "expired password",
			options: emulator.Options{PasswordTTL: 15*time.Minute + 2*time.Second},
			arrange: func(t *testing.T, j *job) []string {
				j.cachePassword(t)
				j.waitForDoctor(t, "no longer returns it")
				return nil
			}},
		{name: "cached failure, AWS admits now", arrange: func(t *testing.T, j *job) []string {
			j.cacheFailure(t)
			return nil
		}},
		{name: "cached failure, same error", arrange: func(t *testing.T, j *job) []string {
			j.cacheFailure(t)
			j.trustOtherRepository()
			return nil
		}},
		{name: "cached failure, other error", arrange: func(t *testing.T, j *job) []string {
			j.cacheFailure(t)
			j.server.AddFault("sts", emulator.Fault{Status: 403, Code: "RegionDisabledException",
				Message: "STS is not activated in this region"})
			return nil
		}},
		{name: "cached failure and stored login", arrange: func(t *testing.T, j *job) []string {
			j.cacheFailure(t)
			j.storeLogin(t, defaultHost)
			return nil
		}},
		{name: "RUNNER_TEMP not writable", arrange: func(t *testing.T, j *job) []string {
			j.env["RUNNER_TEMP"] = "/proc/nope"
			setUserCacheDir(j)
			return nil
		}},
		{name: "cache off", arrange: func(t *testing.T, j *job) []string {
			j.env["ECR_OIDC_CACHE"] = "off"
			return nil
		}},
		{name: "directory open to others", arrange: func(t *testing.T, j *job) []string {
			path := setCacheDir(t, j)
			if err := os.Mkdir(path, 0o700); err != nil {
				t.Fatal(err)
			}
			if err := os.Chmod(path, 0o777); err != nil {
				t.Fatal(err)
			}
			return nil
		}},
		{name: "files instead of both directories", arrange: func(t *testing.T, j *job) []string {
			name := filepath.Base(setCacheDir(t, j))
			delete(j.env, "ECR_OIDC_CACHE_DIR")
			j.writeFile(t, "runner/"+name, "")
			setUserCacheDir(j)
			j.writeFile(t, "home/Library/Caches/"+name, "")
			return nil
		}},
		{name: "no secret to encrypt with", arrange: func(t *testing.T, j *job) []string {
			j.onGitHub(emulator.GitHubJob{NoIDToken: true})
			return nil
		}},
		{name: "stored login", arrange: func(t *testing.T, j *job) []string {
			j.storeLogin(t, defaultHost)
			return nil
		}},
		{name: "stored login, AWS refuses", arrange: func(t *testing.T, j *job) []string {
			j.storeLogin(t, defaultHost)
			j.trustOtherRepository()
			return nil
		}},
		{name: "stored login, ignored", arrange: func(t *testing.T, j *job) []string {
			j.storeLogin(t, defaultHost)
			j.env["ECR_OIDC_STORED_LOGINS"] = "off"
			return nil
		}},
		{name: "stored login for the public registry", arrange: func(t *testing.T, j *job) []string {
			j.storeLogin(t, public)
			return []string{public}
		}},
	})
}

// waitForDoctor runs doctor until its output contains text.
func (j *job) waitForDoctor(t *testing.T, text string) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); ; {
		out := j.doctor(t, defaultHost)
		if strings.Contains(out.stdout, text) {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("the output does not contain %q:\n%s", text, out.stdout)
		}
	}
}

// Every kind of error of a get, its step and its advice.
func TestDoctorErrors(t *testing.T) {
	set := func(pairs ...string) arrange {
		return func(t *testing.T, j *job) []string {
			for _, pair := range append(pairs, "AWS_MAX_ATTEMPTS=1") {
				name, value, _ := strings.Cut(pair, "=")
				j.env[name] = value
			}
			return nil
		}
	}
	fault := func(service string, f emulator.Fault) arrange {
		return func(t *testing.T, j *job) []string { j.server.AddFault(service, f); return set()(t, j) }
	}
	config := func(text string) arrange {
		return func(t *testing.T, j *job) []string {
			j.writeFile(t, "home/.docker/ecr-oidc.yaml", text)
			return nil
		}
	}
	profile := func(text string, pairs ...string) arrange {
		return func(t *testing.T, j *job) []string {
			j.leaveCI()
			j.writeAWSConfig(t, text)
			return set(append(pairs, "ECR_OIDC_PROFILE=dev", "ECR_OIDC_SOURCE=aws",
				"AWS_EC2_METADATA_DISABLED=true")...)(t, j)
		}
	}
	const role = "role_arn = arn:aws:iam::123456789012:role/pusher\n"
	testReports(t, "errors.txt", nil, []reportCase{
		{name: "invalid variable", arrange: set("ECR_OIDC_SOURCE=typo")},
		{name: "unknown key in the file", arrange: config("default:\n  rôle: ci\n")},
		{name: "account not allowed",
			arrange: config("allowed_account_ids: [\"210987654321\"]\n")},
		{name: "public registry without a role",
			arrange: func(t *testing.T, j *job) []string { return []string{public} }},
		{name: "public registry, role without permission",
			arrange: func(t *testing.T, j *job) []string {
				j.server.AddRole(emulator.Role{ARN: emulator.CIRole, Trust: mainBranchTrust})
				j.env["ECR_OIDC_ROLE_PUBLIC"] = emulator.CIRole
				return []string{public}
			}},
		{name: "no role", arrange: set("ECR_OIDC_ROLE=")},
		{name: "unknown region", arrange: func(t *testing.T, j *job) []string {
			return append(set("AWS_ENDPOINT_URL_STS=https://127.0.0.1:1")(t, j),
				strings.Replace(defaultHost, "west", "wst", 1))
		}},
		{name: "no role and no token", arrange: func(t *testing.T, j *job) []string {
			j.onGitHub(emulator.GitHubJob{NoIDToken: true})
			return set("ECR_OIDC_ROLE=", "AWS_WEB_IDENTITY_TOKEN_FILE=/var/run/token")(t, j)
		}},
		{name: "token file without a role on a machine",
			arrange: func(t *testing.T, j *job) []string {
				j.leaveCI()
				return set("ECR_OIDC_TOKEN_FILE="+j.writeFile(t, "token", "x"))(t, j)
			}},
		{name: "GitHub without the request token", arrange: set("ACTIONS_ID_TOKEN_REQUEST_TOKEN=")},
		{name: "explicit github on a machine", arrange: func(t *testing.T, j *job) []string {
			j.leaveCI()
			return set("ECR_OIDC_SOURCE=github", "ECR_OIDC_ROLE=ci")(t, j)
		}},
		{name: "GitHub refuses", arrange: fault("oidc", emulator.Fault{Status: 401})},
		{name: "token is not a JWT", arrange: set("ECR_OIDC_TOKEN=not-a-token")},
		{name: "missing token file", arrange: set("ECR_OIDC_TOKEN_FILE=/no/such/file")},
		{name: "token for another audience", arrange: func(t *testing.T, j *job) []string {
			token := j.server.Mint(emulator.GitHubIssuer, map[string]any{
				"sub": "repo:acme/app:ref:refs/heads/main", "aud": "https://github.com/acme",
			})
			return set("ECR_OIDC_TOKEN="+token, "ECR_OIDC_AUDIENCE=sts.amazonaws.com")(t, j)
		}},
		{name: "expired token on CircleCI", arrange: func(t *testing.T, j *job) []string {
			j.onCircle(emulator.CircleJob{Expired: true})
			return nil
		}},
		{name: "missing CA bundle", arrange: set("AWS_CA_BUNDLE=/no/such/file")},
		{name: "region without FIPS endpoints", arrange: set("AWS_USE_FIPS_ENDPOINT=true",
			"AWS_ENDPOINT_URL_STS=", "AWS_ENDPOINT_URL_ECR=")},
		{name: "invalid AWS variable", arrange: set("AWS_RETRY_MODE=often")},
		{name: "no OIDC provider", arrange: set("ECR_OIDC_ROLE=" + emulator.SpokeRole)},
		{name: "audience not in the provider", arrange: set("ECR_OIDC_AUDIENCE=acme")},
		{name: "no such role", arrange: set("ECR_OIDC_ROLE=no-such-role")},
		{name: "session too long", arrange: set("ECR_OIDC_SESSION_DURATION=12h")},
		{name: "STS throttles", arrange: fault("sts", emulator.Fault{Status: 400,
			Code: "Throttling", Message: "Rate exceeded"})},
		{name: "STS not activated in the region", arrange: fault("sts", emulator.Fault{Status: 403,
			Code: "RegionDisabledException", Message: "STS is not activated in this region"})},
		{name: "STS unreachable", arrange: set(
			"AWS_ENDPOINT_URL_STS=https://user:marked-password@127.0.0.1:1/sts?marked-password")},
		{name: "response that is not from STS", arrange: fault("sts",
			emulator.Fault{Body: []byte("<html>log in to the wifi</html>")})},
		{name: "control characters in the response", arrange: fault("sts", emulator.Fault{
			Status: 400, Code: "Odd\x1b[2J",
			Message: "x\x1b[2J\n::error::y\u202e##[add-mask]z"})},
		{name: "ECR refuses the role", arrange: func(t *testing.T, j *job) []string {
			j.server.AddRole(emulator.Role{
				ARN: emulator.CIRole, Trust: mainBranchTrust, NoLogin: true,
			})
			return nil
		}},
		{name: "ECR refuses the keys", arrange: func(t *testing.T, j *job) []string {
			j.setKeys()
			return set("ECR_OIDC_ROLE=")(t, j)
		}},
		{name: "key without its secret",
			arrange: set("ECR_OIDC_ROLE=", "AWS_ACCESS_KEY_ID="+emulator.AccessKeyID)},
		{name: "no credentials on a machine", arrange: func(t *testing.T, j *job) []string {
			j.leaveCI()
			return nil
		}},
		{name: "missing profile", arrange: profile("", "AWS_PROFILE=dev")},
		{name: "profile that requires MFA", arrange: profile("[profile dev]\n" + role +
			"source_profile = base\nmfa_serial = arn:aws:iam::123456789012:mfa/jane\n" +
			"[profile base]\naws_access_key_id = x\naws_secret_access_key = y\n")},
		{name: "failed credential_process", arrange: profile("[profile dev]\n"+
			"credential_process = sh -c 'echo no such user >&2; exit 3'\n",
			"PATH=/usr/bin:/bin")},
		{name: "instance without credentials",
			arrange: profile("[profile dev]\ncredential_source = Ec2InstanceMetadata\n" + role)},
		{name: "role that the profile cannot assume",
			arrange: profile(userProfile, "ECR_OIDC_ROLE=ci")},
	})
}

// Differences between the verdict on a trust policy and AWS's response.
func TestDoctorPolicyAndAWS(t *testing.T) {
	policy := func(text string) arrange {
		return func(t *testing.T, j *job) []string {
			return []string{"--trust-policy", j.writeFile(t, "policy.json", text), defaultHost}
		}
	}
	testReports(t, "policy.txt", nil, []reportCase{
		{name: "both admit", arrange: policy(mainBranchTrust)},
		{name: "policy admits, AWS refuses", arrange: func(t *testing.T, j *job) []string {
			j.trustOtherRepository()
			return policy(mainBranchTrust)(t, j)
		}},
		{name: "policy refuses, AWS admits",
			arrange: policy(emulator.GitHubTrust("repo:acme/app:pull_request"))},
		{name: "policy of another role", arrange: policy(`{"Role": {"Arn": "` +
			emulator.PusherRole + `", "AssumeRolePolicyDocument": ` + mainBranchTrust + `}}`)},
		{name: "condition on the session name", arrange: policy(strings.Replace(mainBranchTrust,
			`"StringEquals": {`,
			`"StringLike": {"sts:RoleSessionName": "github-*"}, "StringEquals": {`, 1))},
		{name: "no token", arrange: func(t *testing.T, j *job) []string {
			j.onGitHub(emulator.GitHubJob{NoIDToken: true})
			return policy(mainBranchTrust)(t, j)
		}},
	})
}
