package token

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestGitHubHint checks which hint is given in a job without a token.
func TestGitHubHint(t *testing.T) {
	event := filepath.Join(t.TempDir(), "event.json")
	const pull = `{"pull_request": {"head": {"repo": {"full_name": "fork/app"}},
		"base": {"repo": {"full_name": "acme/app"}}}}`
	if err := os.WriteFile(event, []byte(pull), 0o600); err != nil {
		t.Fatal(err)
	}
	invalid := filepath.Join(t.TempDir(), "event.json")
	const noBase = `{"pull_request": {"head": {"repo": {"full_name": "fork/app"}}, "base": 5}}`
	if err := os.WriteFile(invalid, []byte(noBase), 0o600); err != nil {
		t.Fatal(err)
	}
	const actions, fromFork = "GITHUB_ACTIONS=true", "GITHUB_EVENT_NAME=pull_request"
	for _, tt := range []struct {
		name string
		env  []string
		want string // name of the hint
	}{
		{"no permission", []string{actions}, "permission"},
		{"fork", []string{actions, fromFork, "GITHUB_EVENT_PATH=" + event}, "fork"},
		{"invalid event", []string{actions, fromFork, "GITHUB_EVENT_PATH=" + invalid}, "permission"},
		{"no event", []string{actions, fromFork, "GITHUB_EVENT_PATH=/none"}, "permission"},
		{"base repository", []string{actions, "GITHUB_EVENT_NAME=pull_request_target",
			"GITHUB_EVENT_PATH=" + event}, "permission"},
		{"Forgejo", []string{actions, "FORGEJO_ACTIONS=true"}, ""},
		{"another CI", []string{"GITLAB_CI=true"}, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			hint := githubHint(environ(tt.env...))
			if hint.Name != tt.want || hint.NoSecrets != (tt.want == "fork") ||
				(hint.Advice == "") != (tt.want == "") ||
				(hint.Text == "") != (tt.want == "") ||
				(tt.want == "permission") != strings.Contains(hint.Advice, "id-token: write") {
				t.Errorf("%+v", hint)
			}
		})
	}
}
