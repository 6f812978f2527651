package emulator

import (
	"encoding/json"
	"net/http"
	"testing"

	"github.com/golang-jwt/jwt/v5"
)

// TestBuildkiteAgentAPI checks the responses to the requests of buildkite-agent, and the errors.
func TestBuildkiteAgentAPI(t *testing.T) {
	s := start(t, Options{})
	job, other := s.Buildkite(BuildkiteJob{Step: "push"}), s.Buildkite(BuildkiteJob{})
	access := "Token " + job["BUILDKITE_AGENT_ACCESS_TOKEN"]
	path := "/jobs/" + job["BUILDKITE_JOB_ID"] + "/oidc/tokens"
	for _, tt := range []struct {
		name, method, path, authorization, body string
		want                                    int
		audience                                string
	}{
		{"audience", "POST", path, access, `{"audience":"sts.amazonaws.com"}`, 200, "sts.amazonaws.com"},
		{"no audience", "POST", path, access, `{}`, 200, "https://buildkite.com/acme"},
		{"no token", "POST", path, "", `{}`, 401, ""},
		{"bearer token", "POST", path, "Bearer " + job["BUILDKITE_AGENT_ACCESS_TOKEN"], `{}`, 401, ""},
		{"another agent's job", "POST", "/jobs/" + other["BUILDKITE_JOB_ID"] + "/oidc/tokens", access,
			`{}`, 404, ""},
		{"another path", "POST", "/jobs/x", access, `{}`, 404, ""},
		{"another method", "GET", path, access, "", 405, ""},
		{"not JSON", "POST", path, access, "audience=sts.amazonaws.com", 400, ""},
		{"lifetime too long", "POST", path, access, `{"lifetime":7201}`, 422, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := post(job["BUILDKITE_AGENT_ENDPOINT"]+tt.path, "application/json", tt.body)
			r.Method = tt.method
			r.Header.Set("Authorization", tt.authorization)
			status, body := send(t, s, r)
			if status != tt.want {
				t.Fatalf("HTTP %d %s, want %d", status, body, tt.want)
			}
			if status != http.StatusOK {
				return
			}
			var answer struct{ Token string }
			if err := json.Unmarshal([]byte(body), &answer); err != nil {
				t.Fatal(err)
			}
			var c jwt.RegisteredClaims
			if _, _, err := jwt.NewParser().ParseUnverified(answer.Token, &c); err != nil {
				t.Fatal(err)
			}
			sub := "organization:acme:pipeline:app:ref:refs/heads/main:commit:" + commitSHA + ":step:push"
			if c.Issuer != "https://agent.buildkite.com" || c.Subject != sub || len(c.Audience) != 1 ||
				c.Audience[0] != tt.audience {
				t.Errorf("claims %+v", c)
			}
		})
	}
}
