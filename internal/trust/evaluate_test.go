package trust

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
)

func evaluate(t *testing.T, policy string, r Request) Verdict {
	t.Helper()
	p, err := Parse([]byte(policy))
	if err != nil {
		t.Fatalf("%v\n%s", err, policy)
	}
	v, err := Evaluate(p, r)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func kindsOf(v Verdict) string {
	var kinds []string
	for _, f := range v.Findings {
		kinds = append(kinds, string(f.Kind))
	}
	return strings.Join(kinds, " ")
}

func TestCases(t *testing.T) {
	seen := map[string]bool{}
	for _, tt := range cases {
		if tt.source == "" || seen[tt.name] {
			t.Errorf("%s: no source, or a duplicate name", tt.name)
		}
		seen[tt.name] = true
		v := evaluate(t, tt.policy, Request{Role: role, Claims: tt.claims, Now: noon})
		if kinds := kindsOf(v); v.Admits != tt.want || kinds != tt.kinds {
			t.Errorf("%s: admits %v, findings %q; want %v, %q\n%s",
				tt.name, v.Admits, kinds, tt.want, tt.kinds, v)
		}
	}
	if len(cases) < 80 {
		t.Errorf("%d cases", len(cases))
	}
}

// TestCauses checks that there are causes if and only if the policy does not admit the token.
func TestCauses(t *testing.T) {
	for _, tt := range cases {
		v := evaluate(t, tt.policy, Request{Role: role, Claims: tt.claims, Now: noon})
		caused := slices.ContainsFunc(v.Findings, func(f Finding) bool { return f.Level == Cause })
		if caused != (v.Admits != Yes) {
			t.Errorf("%s: admits %v, has causes: %v", tt.name, v.Admits, caused)
		}
		for _, f := range v.Findings {
			if strings.ContainsAny(f.Text, "\n\r") || f.Text == "" {
				t.Errorf("%s: not one line: %q", tt.name, f.Text)
			}
		}
		if _, err := json.Marshal(v); err != nil {
			t.Error(err)
		}
	}
}

// TestUnknownRole checks that without a role, only the comparison of accounts changes.
func TestUnknownRole(t *testing.T) {
	needsRole := map[string]bool{
		"provider of another account":   true,
		"provider of another partition": true,
		"roles claim with the role":     true,
		"roles claim with another role": true,
		"no roles claim":                true,
		"Deny for the account":          true,
		"Deny for another account":      true,
		"Deny for other providers":      true,
	}
	for _, tt := range cases {
		v := evaluate(t, tt.policy, Request{Claims: tt.claims, Now: noon})
		if v.Admits != tt.want && !needsRole[tt.name] {
			t.Errorf("%s: admits %v, want %v\n%s", tt.name, v.Admits, tt.want, v)
		}
	}
	deny := `{"Effect": "Deny", "Principal": {"AWS": "210987654321"}, "Action": "*"}`
	v := evaluate(t, withStatement(sts(mainSub), deny), Request{Claims: gh(mainSub)})
	if v.Admits != Unknown {
		t.Errorf("denied account that can be the role's: %s", v)
	}
	otherAccount := strings.Replace(sts(mainSub), "123456789012", "210987654321", 1)
	v = evaluate(t, otherAccount, Request{Claims: gh(mainSub)})
	if v.Admits != Yes {
		t.Errorf("%s", v)
	}
	v = evaluate(t, sts(mainSub), Request{Claims: gh(mainSub, "https://aws.amazon.com/roles="+role)})
	if v.Admits != Unknown || kindsOf(v) != "role-not-in-token" {
		t.Errorf("%s", v)
	}
}

// TestLongValues checks that explainByCorrections does not search in values that are longer than
// real ones.
func TestLongValues(t *testing.T) {
	long := strings.Repeat("a*", 100)
	if got := explainByCorrections(pair{want: strings.ToUpper(long), got: long}); got == nil {
		t.Error("no correction of the case")
	}
	long = strings.Repeat("a*", 300_000)
	if got := explainByCorrections(pair{want: strings.ToUpper(long), got: long}); got != nil {
		t.Errorf("%v", got)
	}
}

// TestFindingTexts checks parts of the texts that depend on the policy.
func TestFindingTexts(t *testing.T) {
	texts := map[string]string{
		"job_workflow_ref without a subject": "any repository that can call this workflow can assume",
		"reusable workflow":                  "any repository that can call this workflow",
		"CircleCI, V1 for a policy of V2":    "for any user, use ????????-",
		"Buildkite, step":                    `every step whose name contains ":step:deploy"`,
		"CircleCI, origin in a branch name":  "also admits every branch",
		"Google's provider by ARN":           `use Federated "accounts.google.com", without an ARN`,
		"repository created again":           "may have taken the name",
		"environment must be present":        "to be present",
		"NotPrincipal":                       "Principal: a trust policy cannot contain NotPrincipal",
		"CircleCI, end of a branch name":     "because the * before it",
		"only tags allowed":                  "no statement allows sts:AssumeRoleWithWebIdentity",
		"ID of the owner only":               "subjects contain IDs",
		"immutable policy":                   "this repository's subjects contain none",
		"any ID of an owner":                 "more than one project of the owner",
		"any ID of a repository":             "pull request of the project",
	}
	for _, tt := range cases {
		want, ok := texts[tt.name]
		if !ok {
			continue
		}
		delete(texts, tt.name)
		r := Request{Role: role, Claims: tt.claims, Now: noon}
		text := evaluate(t, tt.policy, r).String()
		if !strings.Contains(text, want) {
			t.Errorf("%s: %q is missing\n%s", tt.name, want, text)
		}
		if tt.name == "CircleCI, end of a branch name" && strings.Contains(text, "for any user") {
			t.Errorf("%s: the * does not stand for a user\n%s", tt.name, text)
		}
	}
	for name := range texts {
		t.Errorf("no case has the name %q", name)
	}
}

// String returns the statements with their checks, followed by the findings. It is for failed
// tests.
func (v Verdict) String() string {
	var b strings.Builder
	fmt.Fprintln(&b, [...]string{"not admitted", "unknown", "admitted"}[v.Admits])
	b.WriteString(v.Tree())
	for _, f := range v.Findings {
		at := strings.TrimSuffix(" ("+f.At+")", " ()")
		fmt.Fprintf(&b, "%s: %s%s\n", f.Level, f.Text, at)
	}
	return b.String()
}

func TestTree(t *testing.T) {
	v := evaluate(t, `{"Version": "2012-10-17", "Statement": [
		{"Sid": "Main", "Effect": "Allow", "Principal": {"Federated": "`+gitHubARN+`"},
		"Action": "sts:AssumeRoleWithWebIdentity", "Condition": {
			"StringEquals": {"`+gitHub+`:sub": ["repo:acme/app:ref:refs/heads/main", "x"],
				"`+gitHub+`:aud": "sts.amazonaws.com"},
			"Null": {"sts:ExternalId": "true", "`+gitHub+`:sub": "true"}}},
		{"Effect": "Deny", "Principal": "*", "Action": "sts:*",
		"Condition": {"NotIpAddress": {"aws:SourceIp": "203.0.113.0/24"}}}]}`,
		Request{Role: role, Claims: gh("repo:acme/app:environment:prod")})
	const want = `not admitted
✗ Statement[0] "Main": Allow
  ✓ Principal: "Federated arn:aws:iam::123456789012:oidc-provider/token.actions.githubusercontent.com"
  ✓ Action: "sts:AssumeRoleWithWebIdentity"
  ✗ StringEquals token.actions.githubusercontent.com:sub
      policy:  "repo:acme/app:ref:refs/heads/main", "x"
      request: "repo:acme/app:environment:prod"
  ✓ StringEquals token.actions.githubusercontent.com:aud: "sts.amazonaws.com"
  ✓ Null sts:ExternalId
      policy:  "true"
      request: none
      AssumeRoleWithWebIdentity does not support external IDs
  ✗ Null token.actions.githubusercontent.com:sub
      policy:  "true"
      request: "repo:acme/app:environment:prod"
? Statement[1]: Deny
  ✓ Principal
      policy:  "*"
      request: "Federated arn:aws:iam::123456789012:oidc-provider/token.actions.githubusercontent.com"
  ✓ Action
      policy:  "sts:*"
      request: "sts:AssumeRoleWithWebIdentity"
  ? NotIpAddress aws:SourceIp
      policy:  "203.0.113.0/24"
      request: none
      the helper does not evaluate this operator
cause: the policy trusts branch "main", but this job's subject is for environment "prod"; the subject of a job with an environment contains no branch or tag: the policy requires StringEquals "repo:acme/app:ref:refs/heads/main", "x", but the value is "repo:acme/app:environment:prod" (Statement[0].Condition.StringEquals.token.actions.githubusercontent.com:sub)
cause: the policy requires Null "true", but the value is "repo:acme/app:environment:prod" (Statement[0].Condition.Null.token.actions.githubusercontent.com:sub)
`
	if got := v.String(); got != want {
		t.Errorf("%s", got)
	}
}
