package e2e

import (
	"crypto/sha1"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"maps"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ecr-oidc/docker-credential-ecr-oidc/e2e/emulator"
)

// leakFaults runs every fault that does not hang, at each of the three services.
func leakFaults(t *testing.T) {
	t.Parallel()
	var all sync.WaitGroup
	slots := make(chan struct{}, 10)
	for _, c := range faultCases() {
		for _, at := range []struct{ service, want string }{
			{"oidc", c.oidc},
			{"sts", c.sts},
			{"ecr", c.ecr},
		} {
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
	start, before := time.Now(), len(j.server.Calls())
	for ; len(j.server.Calls()) == before; j.try(defaultHost, "get") {
		if time.Since(start) > time.Minute {
			j.t.Fatal("no further call to AWS")
		}
	}
}

// sso writes the files of "aws sso login", with an access token that expires after life and can be renewed.
func (j *leakJob) sso(life time.Duration) {
	j.t.Helper()
	j.offCI()
	const (
		access  = "marked+access/token=of-sso"
		refresh = "marked+refresh/token=of-sso"
		client  = "marked+client/secret=of-sso"
	)
	sum := sha1.Sum([]byte("acme"))
	token, err := json.Marshal(map[string]string{
		"accessToken":           access,
		"expiresAt":             time.Now().Add(life).UTC().Format(time.RFC3339),
		"region":                "eu-west-2",
		"startUrl":              "https://acme.awsapps.com/start",
		"clientId":              "client-id",
		"clientSecret":          client,
		"registrationExpiresAt": time.Now().Add(24 * time.Hour).UTC().Format(time.RFC3339),
		"refreshToken":          refresh,
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
	j.env["AWS_ENDPOINT_URL_SSO"] = j.server.URL("sso")
	j.env["AWS_ENDPOINT_URL_SSO_OIDC"] = j.server.URL("sso-oidc")
	j.server.AddRole(emulator.Role{ARN: developer, Pull: []string{"app*"}})
	j.server.AddSSOAssignment(access, emulator.Account, "Developer", developer)
	j.server.AddSSORefreshToken(refresh, access)
	for _, secret := range []string{access, refresh, client} {
		j.addSecret(secret)
		j.allowed[secret] = filepath.Join(j.env["HOME"], ".aws", "sso", "cache")
	}
}
