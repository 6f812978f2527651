package trust

import (
	"encoding/json"
	"testing"
	"time"
)

func TestUpcomingSubject(t *testing.T) {
	const (
		github = "https://token.actions.githubusercontent.com"
		ids    = `"repository_owner_id": "123456", "repository_id": "456789"`
	)
	for _, tt := range []struct{ name, issuer, sub, ids, want string }{
		{"branch", github, "repo:acme/app:ref:refs/heads/main", ids,
			"repo:acme@123456/app@456789:ref:refs/heads/main"},
		{"pull request", github, "repo:acme/app:pull_request", ids, "repo:acme@123456/app@456789:pull_request"},
		{"environment", github, "repo:acme/app:environment:Production%3AV1", ids,
			"repo:acme@123456/app@456789:environment:Production%3AV1"},
		{"customized", github, "repo:acme/app:environment:x:job_workflow_ref:acme/w/.github/a.yml@refs/heads/main",
			ids, "repo:acme@123456/app@456789:environment:x:job_workflow_ref:acme/w/.github/a.yml@refs/heads/main"},
		{"numbers", github, "repo:acme/app:pull_request", `"repository_owner_id": 1, "repository_id": 2`,
			"repo:acme@1/app@2:pull_request"},
		{"enterprise slug", github + "/acme", "repo:acme/app:pull_request", ids,
			"repo:acme@123456/app@456789:pull_request"},
		{"GHE.com", "https://token.actions.acme.ghe.com", "repo:acme/app:pull_request", ids,
			"repo:acme@123456/app@456789:pull_request"},
		{"immutable", github, "repo:acme@123456/app@456789:pull_request", ids, ""},
		{"without the repository", github, "repository_owner:acme:ref:refs/heads/main", ids, ""},
		{"without the ids", github, "repo:acme/app:pull_request", `"repository_id": "1"`, ""},
		{"GitHub Enterprise Server", "https://git.acme.example/_services/token", "repo:acme/app:pull_request", ids, ""},
		{"GitLab", "https://gitlab.com", "project_path:acme/app:ref_type:branch:ref:main", ids, ""},
	} {
		var claims map[string]any
		if err := json.Unmarshal([]byte(`{"iss": "`+tt.issuer+`", "aud": "sts.amazonaws.com", "sub": "`+tt.sub+
			`", `+tt.ids+`}`), &claims); err != nil {
			t.Fatal(err)
		}
		if got := UpcomingSubject(claims); got != tt.want {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
		r := Request{Role: "arn:aws:iam::123456789012:role/ci", Claims: claims, Now: time.Now()}
		text, err := TransitionPolicy(r)
		if err != nil {
			t.Fatalf("%s: %v", tt.name, err)
		}
		policy, err := Parse([]byte(text))
		if err != nil {
			t.Fatalf("%s: %v", tt.name, err)
		}
		for _, subject := range []string{tt.sub, tt.want} {
			if subject == "" {
				continue
			}
			if v, err := Evaluate(policy, r.WithSubject(subject)); err != nil || v.Admits != Yes {
				t.Errorf("%s: the policy does not admit %s: %v %v", tt.name, subject, v.Admits, err)
			}
		}
		if v, err := Evaluate(policy, r.WithSubject(tt.sub+"x")); err != nil || v.Admits != No {
			t.Errorf("%s: the policy admits another subject: %v %v", tt.name, v.Admits, err)
		}
	}
}
