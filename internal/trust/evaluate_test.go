package trust

import (
	"fmt"
	"strings"
	"testing"
)

// String returns the statements with their checks, followed by the findings. It is for failed tests.
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
		{"Sid": "Main", "Effect": "Allow", "Principal": {"Federated": "`+gitHubARN+`"}, "Action": "sts:AssumeRoleWithWebIdentity", "Condition": {
			"StringEquals": {"`+gitHub+`:sub": ["repo:acme/app:ref:refs/heads/main", "x"], "`+gitHub+`:aud": "sts.amazonaws.com"}, "Null": {"sts:ExternalId": "true", "`+gitHub+`:sub": "true"}}},
		{"Effect": "Deny", "Principal": "*", "Action": "sts:*", "Condition": {"NotIpAddress": {"aws:SourceIp": "203.0.113.0/24"}}}]}`,
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
cause: the policy trusts branch "main", but this job's subject is for environment "prod", which replaces the branch: the policy requires StringEquals "repo:acme/app:ref:refs/heads/main", "x", but the value is "repo:acme/app:environment:prod" (Statement[0].Condition.StringEquals.token.actions.githubusercontent.com:sub)
cause: the policy requires Null "true", but the value is "repo:acme/app:environment:prod" (Statement[0].Condition.Null.token.actions.githubusercontent.com:sub)
`
	if got := v.String(); got != want {
		t.Errorf("%s", got)
	}
}
