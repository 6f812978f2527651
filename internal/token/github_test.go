package token

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// FuzzPullRequest checks that the hint is safe to print for any content of the event's file. Every
// process of the job can write that file.
func FuzzPullRequest(f *testing.F) {
	for _, s := range []string{
		`{"pull_request": {"head": {"repo": {"full_name": "fork/app"}}, ` +
			`"base": {"repo": {"full_name": "acme/app"}}}}`,
		`{"pull_request": {"head": {"repo": null}, "base": {"repo": {"full_name": "acme/app"}}}}`,
		`{"pull_request": null}`, `{"pull_request": 5}`, `[`, ``,
	} {
		f.Add([]byte(s))
	}
	path := filepath.Join(f.TempDir(), "event.json")
	f.Fuzz(func(t *testing.T, text []byte) {
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
		if from, to, err := pullRequest(path); err != nil && from+to != "" {
			t.Errorf("%q: %q, %q, %v", text, from, to, err)
		}
		hint := githubHint(environ("GITHUB_ACTIONS=true", "GITHUB_EVENT_PATH="+path))
		if hint.Text == "" || strings.ContainsAny(hint.Text+hint.Advice, "\r\n\a\x1b") {
			t.Errorf("%q: %+v", text, hint)
		}
	})
}
