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
	spoke  = emulator.SpokeAccount + ".dkr.ecr." + emulator.Region + ".amazonaws.com"
	public = "public.ecr.aws"
	states = "testdata/doctor/state"
)

// mainOnly is the policy of role ci.
var mainOnly = emulator.GitHubTrust("repo:acme/app:ref:refs/heads/main")

// distrust makes role ci trust somebody else from now on.
func (j *job) distrust() {
	j.server.AddRole(emulator.Role{ARN: emulator.CIRole, Trust: emulator.GitHubTrust("repo:acme/another:ref:refs/heads/main"), Push: []string{"*"}})
}

// refused has a get refused, and makes role ci trust the job only then.
func (j *job) refused(t *testing.T) {
	t.Helper()
	j.distrust()
	if _, _, err := j.get(usual); err == nil {
		t.Fatal("it was not refused")
	}
	j.server.AddRole(emulator.Role{ARN: emulator.CIRole, Trust: mainOnly, Push: []string{"*"}})
}

// got gets a password, which is then in the cache.
func (j *job) got(t *testing.T) {
	t.Helper()
	if _, stderr, err := j.get(usual); err != nil {
		t.Fatalf("%v: %s", err, stderr)
	}
}

// Whole runs. What one prints is testdata/doctor/state/NAME.txt.
func TestDoctorRuns(t *testing.T) {
	t.Parallel()
	onUnix(t)
	for name, arrange := range map[string]func(t *testing.T, j *job) (args []string){
		"good":    func(*testing.T, *job) []string { return nil },
		"refused": func(t *testing.T, j *job) []string { j.onGitHub(pullRequest); return []string{usual} },
		"refused-policy": func(t *testing.T, j *job) []string {
			j.onGitHub(pullRequest)
			return []string{"--trust-policy", j.write(t, "policy.json", mainOnly), usual}
		},
		"chain": func(t *testing.T, j *job) []string {
			j.env["ECR_OIDC_ROLE"] = emulator.CIRole + "," + emulator.PusherRole
			return []string{"https://" + strings.ToUpper(usual) + "/v2/"}
		},
		"keys-only": func(t *testing.T, j *job) []string {
			j.server.AddUser(emulator.User{ARN: emulator.CIUser, AccessKeyID: emulator.AccessKeyID, SecretAccessKey: emulator.SecretAccessKey})
			j.keys()
			delete(j.env, "ECR_OIDC_ROLE")
			return nil
		},
		"circleci":      func(t *testing.T, j *job) []string { j.onCircle(emulator.CircleJob{}); return nil },
		"no-permission": func(t *testing.T, j *job) []string { j.onGitHub(emulator.GitHubJob{NoIDToken: true}); return nil },
		"sudo": func(t *testing.T, j *job) []string {
			j.machine()
			j.env["SUDO_UID"] = "1000"
			return nil
		},
		"profile": func(t *testing.T, j *job) []string {
			j.machine()
			j.profiles(t, "[profile dev]\naws_access_key_id = "+emulator.AccessKeyID+"\naws_secret_access_key = "+emulator.SecretAccessKey+"\n")
			j.env["AWS_PROFILE"], j.env["ECR_OIDC_ROLE"] = "dev", "pusher"
			return nil
		},
		"sso-expired": func(t *testing.T, j *job) []string {
			j.machine()
			j.profiles(t, "[sso-session acme]\nsso_start_url = https://acme.awsapps.com/start\nsso_region = eu-west-2\n[profile dev]\nsso_session = acme\nsso_account_id = 123456789012\nsso_role_name = Developer\n")
			j.env["ECR_OIDC_PROFILE"] = "dev"
			return nil
		},
		// The role is in the other account's variable, so only one of the two is refused; public.ecr.aws has none.
		"several": func(t *testing.T, j *job) []string {
			j.helpers(t, spoke, usual, public)
			j.env["ECR_OIDC_ROLE_"+emulator.SpokeAccount] = "no-such-role"
			return nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			j := patient(t, emulator.Options{})
			args := arrange(t, j)
			golden(t, filepath.Join(states, name+".txt"), j.whole(args, j.doctor(t, args...)))
		})
	}
}

// section is a run of which only a part is shown.
type section struct {
	name    string
	arrange func(t *testing.T, j *job) (args []string)
	in      emulator.Options
}

// sections runs each in an emulator of its own and compares them with one golden, an archive of them all.
func sections(t *testing.T, file string, names []string, all []section) {
	t.Parallel()
	onUnix(t)
	var mu sync.Mutex
	texts := map[string]string{}
	t.Run("all", func(t *testing.T) {
		for _, s := range all {
			t.Run(s.name, func(t *testing.T) {
				t.Parallel()
				j := patient(t, s.in)
				args := []string{usual}
				if more := s.arrange(t, j); more != nil {
					args = more
				}
				text := j.part(j.doctor(t, args...), names...)
				mu.Lock()
				defer mu.Unlock()
				texts[s.name] = text
			})
		}
	})
	var got txtar.Archive
	for _, s := range all {
		got.Files = append(got.Files, txtar.File{Name: s.name, Data: []byte(texts[s.name])})
	}
	golden(t, filepath.Join(states, file), string(txtar.Format(&got)))
}

// States of a job or a machine, each by the signals that it is known by.
func TestDoctorSignals(t *testing.T) {
	event := func(j *job, t *testing.T, from string) {
		j.env["GITHUB_EVENT_PATH"] = j.write(t, "event.json", `{"pull_request": {"head": {"repo": `+from+`}, "base": {"repo": {"full_name": "acme/app"}}}}`)
	}
	fork := pullRequest
	fork.NoIDToken = true
	since := func(off time.Duration) emulator.Options {
		return emulator.Options{Clock: func() time.Time { return time.Now().Add(off) }}
	}
	sections(t, "signals.txt", nil, []section{
		{name: "a long-lived key beside a token", arrange: func(t *testing.T, j *job) []string { j.keys(); return nil }},
		{name: "a fork, and the role is in a secret that it does not get", arrange: func(t *testing.T, j *job) []string {
			j.onGitHub(fork)
			event(j, t, `{"full_name": "mallory/app"}`)
			delete(j.env, "ECR_OIDC_ROLE")
			return nil
		}},
		{name: "a fork, and the role is in the workflow", arrange: func(t *testing.T, j *job) []string {
			j.onGitHub(fork)
			event(j, t, `{"full_name": "mallory/app"}`)
			return nil
		}},
		{name: "a fork that was deleted", arrange: func(t *testing.T, j *job) []string { j.onGitHub(fork); event(j, t, `null`); return nil }},
		{name: "a pull request that is no fork's", arrange: func(t *testing.T, j *job) []string {
			j.onGitHub(fork)
			event(j, t, `{"full_name": "acme/app"}`)
			return nil
		}},
		{name: "pull_request_target", arrange: func(t *testing.T, j *job) []string {
			j.onGitHub(emulator.GitHubJob{Event: "pull_request_target", NoIDToken: true})
			event(j, t, `{"full_name": "mallory/app"}`)
			return nil
		}},
		{name: "a fork on CircleCI", arrange: func(t *testing.T, j *job) []string {
			j.onCircle(emulator.CircleJob{})
			delete(j.env, "ECR_OIDC_ROLE")
			delete(j.env, "CIRCLE_OIDC_TOKEN")
			delete(j.env, "CIRCLE_OIDC_TOKEN_V2")
			j.env["CIRCLE_PR_USERNAME"], j.env["CIRCLE_PR_REPONAME"] = "mallory", "app"
			return nil
		}},
		{name: "a container without the job's variables", arrange: func(t *testing.T, j *job) []string {
			j.machine()
			j.env["ECR_OIDC_ROLE"] = emulator.CIRole
			return nil
		}},
		{name: "a runner in EKS", arrange: func(t *testing.T, j *job) []string {
			j.env["AWS_WEB_IDENTITY_TOKEN_FILE"], j.env["AWS_CONTAINER_CREDENTIALS_FULL_URI"] = "/var/run/secrets/eks/token", "http://169.254.170.23/v1/credentials"
			return nil
		}},
		{name: "a clock that is behind", in: since(7 * time.Hour), arrange: func(t *testing.T, j *job) []string { return nil }},
		{name: "a clock that is ahead", in: since(-10 * time.Minute), arrange: func(t *testing.T, j *job) []string { return nil }},
		{name: "a proxy that intercepts TLS, and a bundle without its CA", arrange: func(t *testing.T, j *job) []string {
			other := newJob(t)
			j.env["AWS_CA_BUNDLE"] = j.write(t, "corporate.pem", string(other.server.CAPEM()))
			return nil
		}},
		{name: "a proxy that intercepts TLS, and no bundle", arrange: func(t *testing.T, j *job) []string {
			maps.Copy(j.env, j.server.GitHubRealHost(emulator.GitHubJob{}))
			for _, name := range []string{"AWS_CA_BUNDLE", "AWS_ENDPOINT_URL_STS", "AWS_ENDPOINT_URL_ECR"} {
				delete(j.env, name)
			}
			j.env["HTTPS_PROXY"] = strings.Replace(j.server.ProxyURL(), "http://", "http://user:marked-password@", 1)
			j.env["SSL_CERT_FILE"] = j.write(t, "roots.pem", string(newJob(t).server.CAPEM()))
			return nil
		}},
	})
}

// Docker's side: its file, what is in the way, PATH, and what this version shows.
func TestDoctorDocker(t *testing.T) {
	config := func(text string) func(*testing.T, *job) []string {
		return func(t *testing.T, j *job) []string { j.config(t, text); return nil }
	}
	version := func(v string) func(*testing.T, *job) []string {
		return func(t *testing.T, j *job) []string { j.docker(t, v); return nil }
	}
	login := base64.StdEncoding.EncodeToString([]byte("AWS:marked-password"))
	sections(t, "docker.txt", []string{"docker", "PATH"}, []section{
		{name: "named", arrange: version("29.0.0")},
		{name: "not named", arrange: config(`{"credHelpers": {"ghcr.io": "gh"}}`)},
		{name: "not named, and there is a credsStore", arrange: config(`{"credsStore": "desktop"}`)},
		{name: "another helper", arrange: config(`{"credHelpers": {"` + usual + `": "ecr-login"}}`)},
		{name: "credsStore", arrange: config(`{"credsStore": "ecr-oidc"}`)},
		{name: "credsStore, but another helper", arrange: config(`{"credsStore": "ecr-oidc", "credHelpers": {"` + usual + `": "ecr-login"}}`)},
		{name: "an old login", arrange: config(`{"credHelpers": {"` + usual + `": "ecr-oidc"}, "auths": {"https://` + usual + `": {"auth": "` + login + `"}}}`)},
		{name: "the empty auths of a login that a helper keeps", arrange: config(`{"credHelpers": {"` + usual + `": "ecr-oidc"}, "auths": {"` + usual + `": {}}}`)},
		{name: "no file", arrange: func(t *testing.T, j *job) []string {
			j.env["DOCKER_CONFIG"] = filepath.Join(j.dir, "none")
			return nil
		}},
		{name: "an empty file", arrange: config("")},
		{name: "a broken file", arrange: config("{\n\"credHelpers\": {},\n}")},
		{name: "a file of another shape", arrange: config(`{"credHelpers": ["ecr-oidc"]}`)},
		{name: "a folder for a file", arrange: func(t *testing.T, j *job) []string {
			j.env["DOCKER_CONFIG"] = filepath.Join(j.dir, "odd")
			j.write(t, "odd/config.json/x", "")
			return nil
		}},
		{name: "DOCKER_AUTH_CONFIG", arrange: func(t *testing.T, j *job) []string {
			j.env["DOCKER_AUTH_CONFIG"] = `{"auths": {"` + usual + `": {"auth": "` + login + `"}}}`
			return nil
		}},
		{name: "DOCKER_AUTH_CONFIG for others", arrange: func(t *testing.T, j *job) []string {
			j.env["DOCKER_AUTH_CONFIG"] = `{"auths": {"ghcr.io": {"auth": "` + login + `"}}}`
			return nil
		}},
		{name: "control characters", arrange: config(`{"credHelpers": {"` + usual + `": "x\u001b[2J\n::error::y\u202e##[add-mask]z"}}`)},
		{name: "not on PATH", arrange: func(t *testing.T, j *job) []string {
			j.docker(t, "29.0.0")
			j.env["PATH"] = filepath.Join(j.dir, "bin")
			return nil
		}},
		{name: "Docker 28.5", arrange: version("28.5.1")},
		{name: "Docker 28.4", arrange: version("28.4.0")},
		{name: "Docker 20.10", arrange: version("20.10.25+dfsg1")},
		{name: "no Docker", arrange: version("")},
	})
}

// The cache, and what another tool's login makes of it.
func TestDoctorCache(t *testing.T) {
	store := func(t *testing.T, j *job) {
		if _, stderr, err := j.run("store", fmt.Sprintf(`{"ServerURL": %q, "Username": "AWS", "Secret": "marked-password"}`, usual)); err != nil {
			t.Fatal(stderr)
		}
	}
	dir := func(t *testing.T, j *job) string {
		path := filepath.Join(j.dir, "runner", fmt.Sprintf("ecr-oidc-%d", os.Getuid()))
		j.env["ECR_OIDC_CACHE_DIR"] = path
		return path
	}
	sections(t, "cache.txt", []string{"cache", "login"}, []section{
		{name: "not there yet", arrange: func(t *testing.T, j *job) []string { return nil }},
		{name: "there, and nothing in it", arrange: func(t *testing.T, j *job) []string {
			if err := os.Mkdir(dir(t, j), 0o700); err != nil {
				t.Fatal(err)
			}
			return nil
		}},
		{name: "a password", arrange: func(t *testing.T, j *job) []string { j.got(t); return nil }},
		{name: "a password, and AWS refuses by now", arrange: func(t *testing.T, j *job) []string { j.got(t); j.distrust(); return nil }},
		{name: "a password whose role session is over, and AWS cannot be asked", in: emulator.Options{SessionTTL: time.Second},
			arrange: func(t *testing.T, j *job) []string {
				j.got(t)
				j.server.Fail("sts", emulator.Fault{Status: 503})
				j.env["AWS_MAX_ATTEMPTS"] = "1"
				j.until(t, "while AWS cannot be asked")
				return nil
			}},
		{name: "a password that has expired", in: emulator.Options{PasswordTTL: 15*time.Minute + 2*time.Second},
			arrange: func(t *testing.T, j *job) []string { j.got(t); j.until(t, "serves no longer"); return nil }},
		{name: "a failure, and AWS lets it pass by now", arrange: func(t *testing.T, j *job) []string { j.refused(t); return nil }},
		{name: "a failure, and AWS says no more", arrange: func(t *testing.T, j *job) []string { j.refused(t); j.distrust(); return nil }},
		{name: "a failure, and AWS says something else", arrange: func(t *testing.T, j *job) []string {
			j.refused(t)
			j.server.Fail("sts", emulator.Fault{Status: 403, Code: "RegionDisabledException", Message: "STS is not activated in this region"})
			return nil
		}},
		{name: "a failure, and another tool's login", arrange: func(t *testing.T, j *job) []string { j.refused(t); store(t, j); return nil }},
		{name: "RUNNER_TEMP, where nobody can make anything", arrange: func(t *testing.T, j *job) []string {
			j.env["RUNNER_TEMP"] = "/proc/nope"
			j.env["XDG_CACHE_HOME"] = filepath.Join(j.dir, "home", "Library", "Caches") // as on macOS
			return nil
		}},
		{name: "off", arrange: func(t *testing.T, j *job) []string { j.env["ECR_OIDC_CACHE"] = "off"; return nil }},
		{name: "open to others", arrange: func(t *testing.T, j *job) []string {
			path := dir(t, j)
			if err := os.Mkdir(path, 0o700); err != nil {
				t.Fatal(err)
			}
			if err := os.Chmod(path, 0o777); err != nil {
				t.Fatal(err)
			}
			return nil
		}},
		{name: "a file in its place, and in the other's", arrange: func(t *testing.T, j *job) []string {
			name := filepath.Base(dir(t, j))
			delete(j.env, "ECR_OIDC_CACHE_DIR")
			j.write(t, "runner/"+name, "")
			j.env["XDG_CACHE_HOME"] = filepath.Join(j.dir, "home", "Library", "Caches") // so that macOS says it alike
			j.write(t, "home/Library/Caches/"+name, "")
			return nil
		}},
		{name: "nothing to seal it with", arrange: func(t *testing.T, j *job) []string { j.onGitHub(emulator.GitHubJob{NoIDToken: true}); return nil }},
		{name: "another tool's login", arrange: func(t *testing.T, j *job) []string { store(t, j); return nil }},
		{name: "another tool's login, and AWS refuses", arrange: func(t *testing.T, j *job) []string { store(t, j); j.distrust(); return nil }},
		{name: "another tool's login, ignored", arrange: func(t *testing.T, j *job) []string {
			store(t, j)
			j.env["ECR_OIDC_STORED_LOGINS"] = "off"
			return nil
		}},
		{name: "another tool's login for the public registry", arrange: func(t *testing.T, j *job) []string {
			if _, stderr, err := j.run("store", `{"ServerURL": "public.ecr.aws", "Username": "AWS", "Secret": "marked-password"}`); err != nil {
				t.Fatal(stderr)
			}
			return []string{public}
		}},
	})
}

// until runs doctor until it says so.
func (j *job) until(t *testing.T, said string) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); ; {
		out := j.doctor(t, usual)
		if strings.Contains(out.stdout, said) {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("it does not say %q:\n%s", said, out.stdout)
		}
	}
}

// Every kind of error of a get, at its step, and what to do about it.
func TestDoctorErrors(t *testing.T) {
	set := func(pairs ...string) func(*testing.T, *job) []string {
		return func(t *testing.T, j *job) []string {
			for _, pair := range append(pairs, "AWS_MAX_ATTEMPTS=1") {
				name, value, _ := strings.Cut(pair, "=")
				j.env[name] = value
			}
			return nil
		}
	}
	fault := func(service string, f emulator.Fault) func(*testing.T, *job) []string {
		return func(t *testing.T, j *job) []string { j.server.Fail(service, f); return set()(t, j) }
	}
	onMachine := func(profile string, pairs ...string) func(*testing.T, *job) []string {
		return func(t *testing.T, j *job) []string {
			j.machine()
			j.profiles(t, profile)
			return set(append(pairs, "ECR_OIDC_PROFILE=dev", "ECR_OIDC_SOURCE=aws", "AWS_EC2_METADATA_DISABLED=true")...)(t, j)
		}
	}
	sections(t, "errors.txt", nil, []section{
		{name: "a setting", arrange: set("ECR_OIDC_SOURCE=typo")},
		{name: "a line of the file", arrange: func(t *testing.T, j *job) []string {
			j.write(t, "home/.docker/ecr-oidc.yaml", "default:\n  rôle: ci\n")
			return nil
		}},
		{name: "an account that is not allowed", arrange: func(t *testing.T, j *job) []string {
			j.write(t, "home/.docker/ecr-oidc.yaml", "allowed_account_ids: [\"210987654321\"]\n")
			return nil
		}},
		{name: "the public registry without a role", arrange: func(t *testing.T, j *job) []string { return []string{public} }},
		{name: "the public registry with a role that may not", arrange: func(t *testing.T, j *job) []string {
			j.server.AddRole(emulator.Role{ARN: emulator.CIRole, Trust: mainOnly})
			j.env["ECR_OIDC_ROLE_PUBLIC"] = emulator.CIRole
			return []string{public}
		}},
		{name: "no role", arrange: set("ECR_OIDC_ROLE=")},
		{name: "no role and no token", arrange: func(t *testing.T, j *job) []string {
			j.onGitHub(emulator.GitHubJob{NoIDToken: true})
			return set("ECR_OIDC_ROLE=", "AWS_WEB_IDENTITY_TOKEN_FILE=/var/run/token")(t, j)
		}},
		{name: "no role for a token file on a machine", arrange: func(t *testing.T, j *job) []string {
			j.machine()
			return set("ECR_OIDC_TOKEN_FILE="+j.write(t, "token", "x"))(t, j)
		}},
		{name: "GitHub without the request's token", arrange: set("ACTIONS_ID_TOKEN_REQUEST_TOKEN=")},
		{name: "GitHub chosen where it is not", arrange: func(t *testing.T, j *job) []string {
			j.machine()
			return set("ECR_OIDC_SOURCE=github", "ECR_OIDC_ROLE=ci")(t, j)
		}},
		{name: "GitHub refuses", arrange: fault("oidc", emulator.Fault{Status: 401})},
		{name: "a token that is none", arrange: set("ECR_OIDC_TOKEN=not-a-token")},
		{name: "a token file that is not there", arrange: set("ECR_OIDC_TOKEN_FILE=/no/such/file")},
		{name: "a token for another audience", arrange: func(t *testing.T, j *job) []string {
			token := j.server.Mint(emulator.GitHubIssuer, map[string]any{"sub": "repo:acme/app:ref:refs/heads/main", "aud": "https://github.com/acme"})
			return set("ECR_OIDC_TOKEN="+token, "ECR_OIDC_AUDIENCE=sts.amazonaws.com")(t, j)
		}},
		{name: "an expired token on CircleCI", arrange: func(t *testing.T, j *job) []string {
			j.onCircle(emulator.CircleJob{Expired: true})
			return nil
		}},
		{name: "a CA bundle that is not there", arrange: set("AWS_CA_BUNDLE=/no/such/file")},
		{name: "FIPS where there is none", arrange: set("AWS_USE_FIPS_ENDPOINT=true", "AWS_ENDPOINT_URL_STS=", "AWS_ENDPOINT_URL_ECR=")},
		{name: "AWS's own variable is wrong", arrange: set("AWS_RETRY_MODE=often")},
		{name: "no such provider", arrange: set("ECR_OIDC_ROLE=" + emulator.SpokeRole)},
		{name: "an audience that the provider does not know", arrange: set("ECR_OIDC_AUDIENCE=acme")},
		{name: "no such role", arrange: set("ECR_OIDC_ROLE=no-such-role")},
		{name: "too long a session", arrange: set("ECR_OIDC_SESSION_DURATION=12h")},
		{name: "STS throttles", arrange: fault("sts", emulator.Fault{Status: 400, Code: "Throttling", Message: "Rate exceeded"})},
		{name: "STS is not in this region", arrange: fault("sts", emulator.Fault{Status: 403, Code: "RegionDisabledException", Message: "STS is not activated in this region"})},
		{name: "STS cannot be reached", arrange: set("AWS_ENDPOINT_URL_STS=https://user:marked-password@127.0.0.1:1/sts?marked-password")},
		{name: "something else answers for STS", arrange: fault("sts", emulator.Fault{Body: []byte("<html>log in to the wifi</html>")})},
		{name: "STS says odd things", arrange: fault("sts", emulator.Fault{Status: 400, Code: "Odd\x1b[2J", Message: "x\x1b[2J\n::error::y\u202e##[add-mask]z"})},
		{name: "ECR refuses the role", arrange: func(t *testing.T, j *job) []string {
			j.server.AddRole(emulator.Role{ARN: emulator.CIRole, Trust: mainOnly, NoLogin: true})
			return nil
		}},
		{name: "ECR refuses the keys", arrange: func(t *testing.T, j *job) []string { j.keys(); return set("ECR_OIDC_ROLE=")(t, j) }},
		{name: "half of the keys", arrange: set("ECR_OIDC_ROLE=", "AWS_ACCESS_KEY_ID="+emulator.AccessKeyID)},
		{name: "no credentials on a machine", arrange: func(t *testing.T, j *job) []string { j.machine(); return nil }},
		{name: "a profile that is not there", arrange: onMachine("", "AWS_PROFILE=dev")},
		{name: "a profile that wants a code", arrange: onMachine("[profile dev]\nrole_arn = arn:aws:iam::123456789012:role/pusher\nsource_profile = base\nmfa_serial = arn:aws:iam::123456789012:mfa/jane\n[profile base]\naws_access_key_id = x\naws_secret_access_key = y\n")},
		{name: "a profile whose command fails", arrange: onMachine("[profile dev]\ncredential_process = sh -c 'echo no such user >&2; exit 3'\n", "PATH=/usr/bin:/bin")},
		{name: "the instance has no credentials", arrange: onMachine("[profile dev]\ncredential_source = Ec2InstanceMetadata\nrole_arn = arn:aws:iam::123456789012:role/pusher\n")},
		{name: "a role that the profile may not assume", arrange: onMachine("[profile dev]\naws_access_key_id = "+emulator.AccessKeyID+"\naws_secret_access_key = "+emulator.SecretAccessKey+"\n", "ECR_OIDC_ROLE=ci")},
	})
}

// What the policy says and what AWS says, when they are not at one, or when there is nothing to ask a policy.
func TestDoctorPolicyAndAWS(t *testing.T) {
	policy := func(text string) func(*testing.T, *job) []string {
		return func(t *testing.T, j *job) []string {
			return []string{"--trust-policy", j.write(t, "policy.json", text), usual}
		}
	}
	sections(t, "policy.txt", nil, []section{
		{name: "both admit", arrange: policy(mainOnly)},
		{name: "the policy admits, AWS does not", arrange: func(t *testing.T, j *job) []string { j.distrust(); return policy(mainOnly)(t, j) }},
		{name: "AWS admits, the policy does not", arrange: policy(emulator.GitHubTrust("repo:acme/app:pull_request"))},
		{name: "another role's policy", arrange: policy(`{"Role": {"Arn": "` + emulator.PusherRole + `", "AssumeRolePolicyDocument": ` + mainOnly + `}}`)},
		{name: "a condition on the session's name", arrange: policy(strings.Replace(mainOnly, `"StringEquals": {`, `"StringLike": {"sts:RoleSessionName": "github-*"}, "StringEquals": {`, 1))},
		{name: "no token", arrange: func(t *testing.T, j *job) []string {
			j.onGitHub(emulator.GitHubJob{NoIDToken: true})
			return policy(mainOnly)(t, j)
		}},
	})
}
