package trust

import (
	"fmt"
	"strings"
	"testing"
)

// String is what a failed test prints: each statement with its checks, and then the findings.
func (v Verdict) String() string {
	var b strings.Builder
	fmt.Fprintln(&b, [...]string{"refused", "unknown", "admitted"}[v.Admits])
	b.WriteString(v.Tree())
	for _, f := range v.Findings {
		at := strings.TrimSuffix(" ("+f.At+")", " ()")
		fmt.Fprintf(&b, "%s: %s%s\n", f.Level, f.Text, at)
	}
	return b.String()
}

func TestString(t *testing.T) {
	v := evaluate(t, `{"Version": "2012-10-17", "Statement": [
		{"Sid": "Main", "Effect": "Allow", "Principal": {"Federated": "`+gitHubARN+`"}, "Action": "sts:AssumeRoleWithWebIdentity", "Condition": {
			"StringEquals": {"`+gitHub+`:sub": ["repo:acme/app:ref:refs/heads/main", "x"], "`+gitHub+`:aud": "sts.amazonaws.com"}, "Null": {"sts:ExternalId": "true", "`+gitHub+`:sub": "true"}}},
		{"Effect": "Deny", "Principal": "*", "Action": "sts:*", "Condition": {"NotIpAddress": {"aws:SourceIp": "203.0.113.0/24"}}}]}`,
		Request{Role: role, Claims: gh("repo:acme/app:environment:prod")})
	const want = `refused
✗ Statement[0] "Main": Allow
  ✓ Principal: "Federated arn:aws:iam::123456789012:oidc-provider/token.actions.githubusercontent.com"
  ✓ Action: "sts:AssumeRoleWithWebIdentity"
  ✗ StringEquals token.actions.githubusercontent.com:sub
      wants "repo:acme/app:ref:refs/heads/main", "x"
      has   "repo:acme/app:environment:prod"
  ✓ StringEquals token.actions.githubusercontent.com:aud: "sts.amazonaws.com"
  ✓ Null sts:ExternalId
      wants "true"
      has   nothing
      AssumeRoleWithWebIdentity has no external id
  ✗ Null token.actions.githubusercontent.com:sub
      wants "true"
      has   "repo:acme/app:environment:prod"
? Statement[1]: Deny
  ✓ Principal
      wants "*"
      has   "Federated arn:aws:iam::123456789012:oidc-provider/token.actions.githubusercontent.com"
  ✓ Action
      wants "sts:*"
      has   "sts:AssumeRoleWithWebIdentity"
  ? NotIpAddress aws:SourceIp
      wants "203.0.113.0/24"
      has   nothing
      this operator is not evaluated here
cause: the policy trusts branch "main", and this job's subject names environment "prod", which stands in the place of the branch: the policy wants StringEquals "repo:acme/app:ref:refs/heads/main", "x", and the token has "repo:acme/app:environment:prod" (Statement[0].Condition.StringEquals.token.actions.githubusercontent.com:sub)
cause: the policy wants Null "true", and the token has "repo:acme/app:environment:prod" (Statement[0].Condition.Null.token.actions.githubusercontent.com:sub)
`
	if got := v.String(); got != want {
		t.Errorf("%s", got)
	}
}
