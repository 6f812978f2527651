package token

import "testing"

// TestBuildkiteEndpoint checks the agent API's URL, which a self-hosted agent may replace.
func TestBuildkiteEndpoint(t *testing.T) {
	const job = "BUILDKITE_JOB_ID=the-job"
	for _, tt := range []struct {
		env  []string
		want string
	}{
		{[]string{job}, "https://agent.buildkite.com/v3 the-job"},
		{[]string{job, "BUILDKITE_AGENT_ENDPOINT=https://agent.example/v3"},
			"https://agent.example/v3 the-job"},
	} {
		s, _ := buildkite(environ(tt.env...), Settings{})
		if s.CacheKeyInput != tt.want {
			t.Errorf("%q: %q, want %q", tt.env, s.CacheKeyInput, tt.want)
		}
	}
}
