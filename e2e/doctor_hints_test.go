package e2e

import (
	"maps"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ecr-oidc/docker-credential-ecr-oidc/e2e/emulator"
)

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
