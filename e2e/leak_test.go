package e2e

import (
	"encoding/json"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ecr-oidc/docker-credential-ecr-oidc/e2e/world"
)

// No secret reaches a stream or a file on any path, debug output included; the password of a good get is on stdout and
// nowhere else.
func TestNothingLeaks(t *testing.T) {
	const key = "wJalrXUtnFEMI/marked/secret/access/key/EXAMPLE"
	for name, arrange := range map[string]func(*job){
		"a good get":          func(*job) {},
		"the keys alone":      func(j *job) { j.env["ECR_OIDC_ROLE"], j.env["AWS_ACCESS_KEY_ID"] = "", "AKIAIOSFODNN7EXAMPLE" },
		"refused by STS":      func(j *job) { j.env["ECR_OIDC_ROLE"] = world.SpokeRole },
		"no token":            func(j *job) { j.env["ACTIONS_ID_TOKEN_REQUEST_URL"] = "" },
		"the endpoint echoes": func(j *job) { echo(j, "oidc", 500) },
		"a final echo":        func(j *job) { echo(j, "oidc", 400) },
		"an echo as an answer": func(j *job) {
			b, _ := json.Marshal(map[string]string{"value": "not a token " + j.env["ACTIONS_ID_TOKEN_REQUEST_TOKEN"]})
			j.world.Fail("oidc", world.Fault{Body: b})
		},
		"STS echoes": func(j *job) {
			token := j.world.Mint(world.GitHubIssuer, map[string]any{"aud": "sts.amazonaws.com", "sub": "repo:acme/app:ref:refs/heads/main"})
			b, _ := json.Marshal(map[string]string{"value": token})
			j.world.Fail("oidc", world.Fault{Body: b})
			j.env["MARKED_TOKEN"] = token
			j.world.Fail("sts", world.Fault{Status: 400, Code: "ValidationError", Message: "Value '" + token + "' at 'webIdentityToken' is bad; " + key + " " + j.env["ACTIONS_ID_TOKEN_REQUEST_TOKEN"]})
		},
		"ECR echoes": func(j *job) { echo(j, "ecr", 400) },
		"a bad endpoint": func(j *job) {
			j.env["ACTIONS_ID_TOKEN_REQUEST_URL"] = "https://user:marked-password@127.0.0.1:1/x?marked"
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			j := newJob(t)
			j.env["AWS_SECRET_ACCESS_KEY"], j.env["ECR_OIDC_DEBUG"], j.env["AWS_MAX_ATTEMPTS"] = key, "1", "1"
			arrange(j)
			stdout, stderr, err := j.get(usual)
			var answer struct{ Secret string }
			if err == nil {
				if err := json.Unmarshal([]byte(stdout), &answer); err != nil {
					t.Fatal(err)
				}
				stdout = strings.Replace(stdout, answer.Secret, "", 1)
			}
			marked := []string{key, j.env["ACTIONS_ID_TOKEN_REQUEST_TOKEN"], j.env["MARKED_TOKEN"], answer.Secret, "marked-password", "eyJhbGciOi"}
			look := func(where, text string) {
				for _, secret := range marked {
					if secret != "" && strings.Contains(text, secret) {
						t.Errorf("%s has %.12s... in it:\n%s", where, secret, text)
					}
				}
			}
			look("stdout", stdout)
			look("stderr", stderr)
			filepath.WalkDir(j.dir, func(path string, d fs.DirEntry, err error) error {
				if err == nil && !d.IsDir() {
					b, _ := os.ReadFile(path)
					look(path, path+string(b))
				}
				return nil
			})
		})
	}
}

// echo makes a service answer with the request's own secrets.
func echo(j *job, service string, status int) {
	secrets := j.env["ACTIONS_ID_TOKEN_REQUEST_TOKEN"] + " " + j.env["AWS_SECRET_ACCESS_KEY"]
	j.world.Fail(service, world.Fault{Status: status, Code: "ValidationException", Message: secrets})
}
