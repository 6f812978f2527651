package trust

import (
	"fmt"
	"strings"
	"testing"
)

// operatorClaims returns the claims for TestOperators.
func operatorClaims() map[string]any {
	return map[string]any{
		"iss":           "https://" + gitHub,
		"sub":           "repo:acme/app:ref:refs/heads/main",
		"aud":           "sts",
		"amr":           []any{"a", "b"},
		"email":         "",
		"repository_id": "10",
		"actor":         "true",
		"workflow":      "arn:aws:iam::123456789012:role/a:b",
		"ref":           "2026-11-20T12:00:00Z",
		"environment":   "a*b?c$d",
	}
}

// TestOperators follows AWS's reference of each operator:
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_condition_operators.html
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-logic-multiple-context-keys-or-values.html
func TestOperators(t *testing.T) {
	const none = "repository_owner_id" // AWS supports the key, but the token does not contain the claim
	for _, tt := range []struct {
		operator, key, values string
		want                  Result
	}{
		{"StringEquals", "aud", `"sts"`, Yes},
		{"StringEquals", "aud", `"STS"`, No},
		{"StringEquals", "aud", `"st*"`, No},
		{"StringEquals", "aud", `["x", "sts"]`, Yes},
		{"StringEquals", "aud", `[]`, Unknown},
		{"StringEquals", none, `"x"`, No},
		{"StringEquals", "actor", `true`, Yes},
		{"StringEquals", "repository_id", `10`, Yes},
		{"StringNotEquals", "aud", `"x"`, Yes},
		{"StringNotEquals", "aud", `["x", "sts"]`, No},
		{"StringNotEquals", none, `"x"`, Yes},
		{"StringEqualsIgnoreCase", "aud", `"STS"`, Yes},
		{"StringEqualsIgnoreCase", "aud", `"ST*"`, No},
		{"StringNotEqualsIgnoreCase", "aud", `["x", "STS"]`, No},
		{"StringLike", "sub", `"repo:acme/*"`, Yes},
		{"StringLike", "sub", `"repo:acme/???:ref:*/main"`, Yes},
		{"StringLike", "sub", `"repo:acme/????:ref:*/main"`, No},
		{"StringLike", "sub", `"REPO:*"`, No},
		{"StringLike", "sub", `"repo:acme/app:ref:refs/heads/main"`, Yes},
		{"StringLike", "sub", `"repo:acme/app"`, No},
		{"StringLike", "sub", `"*"`, Yes},
		{"StringLike", "sub", `"*main*"`, Yes},
		{"StringLike", none, `"*"`, No},
		{"StringNotLike", "sub", `["x*", "repo:*"]`, No},
		{"StringNotLike", "sub", `"x*"`, Yes},
		{"StringNotLike", none, `"*"`, Yes},

		{"StringEqualsIfExists", none, `"x"`, Yes},
		{"StringEqualsIfExists", "aud", `"x"`, No},
		{"StringNotEqualsIfExists", none, `"x"`, Yes},

		{"ForAnyValue:StringEquals", "amr", `["b", "z"]`, Yes},
		{"ForAnyValue:StringEquals", "amr", `"z"`, No},
		{"ForAnyValue:StringEquals", none, `"z"`, No},
		{"ForAnyValue:StringNotEquals", "amr", `"a"`, Yes},
		{"ForAnyValue:StringNotEquals", "amr", `["a", "b"]`, No},
		{"ForAnyValue:StringNotEquals", none, `"a"`, No},
		{"ForAnyValue:StringEqualsIfExists", none, `"a"`, Unknown},
		{"ForAnyValue:StringEqualsIfExists", "amr", `"a"`, Yes},
		{"ForAllValues:StringEquals", "amr", `["a", "b", "c"]`, Yes},
		{"ForAllValues:StringEquals", "amr", `"a"`, No},
		{"ForAllValues:StringEquals", none, `"a"`, Yes},
		{"ForAllValues:StringNotEquals", "amr", `"a"`, No},
		{"ForAllValues:StringNotLike", "amr", `"z*"`, Yes},
		{"ForAllValues:StringEquals", "email", `"x"`, Yes},
		{"ForAnyValue:StringEquals", "email", `""`, No},
		{"StringEquals", "email", `""`, Yes},
		{"StringEquals", "amr", `"a"`, Unknown},
		{"StringEquals", "amr", `"z"`, No},
		{"StringNotEquals", "amr", `"z"`, Unknown},

		{"Null", none, `"true"`, Yes},
		{"Null", none, `false`, No},
		{"Null", "sub", `"true"`, No},
		{"Null", "sub", `"False"`, Yes},
		{"Null", "sub", `"x"`, Unknown},
		{"Null", "email", `"true"`, Unknown},
		{"NullIfExists", "sub", `"true"`, Unknown},
		{"ForAnyValue:Null", "sub", `"true"`, Unknown},

		{"Bool", "actor", `"true"`, Yes},
		{"Bool", "actor", `"TRUE"`, Yes},
		{"Bool", "actor", `false`, No},
		{"Bool", "actor", `["false", "true"]`, Yes},
		{"Bool", "sub", `"true"`, Unknown},
		{"Bool", none, `"true"`, No},
		{"BoolIfExists", none, `"true"`, Yes},
		{"BoolNotEquals", "actor", `"true"`, Unknown},
		{"NotBool", "actor", `"true"`, Unknown},

		{"NumericEquals", "repository_id", `"10.0"`, Yes},
		{"NumericEquals", "repository_id", `10`, Yes},
		{"NumericNotEquals", "repository_id", `["9", "10"]`, No},
		{"NumericLessThan", "repository_id", `"10"`, No},
		{"NumericLessThanEquals", "repository_id", `"10"`, Yes},
		{"NumericGreaterThan", "repository_id", `"9.5"`, Yes},
		{"NumericGreaterThanEquals", "repository_id", `"11"`, No},
		{"NumericEquals", "sub", `"10"`, Unknown},
		{"NumericEquals", "repository_id", `"ten"`, Unknown},
		{"NumericEquals", "repository_id", `"Inf"`, Unknown},
		{"NumericEquals", "repository_id", `"1e1"`, Unknown},
		{"NumericLike", "repository_id", `"10"`, Unknown},
		{"NumericNotLessThan", "repository_id", `"10"`, Unknown},
		{"Numeric", "repository_id", `"10"`, Unknown},

		{"DateEquals", "ref", `"2026-11-20T13:00:00+01:00"`, Yes},
		{"DateGreaterThan", "ref", `"2026-11-20"`, Yes},
		{"DateLessThan", "ref", `"2026-12"`, Yes},
		{"DateLessThan", "ref", `1795176001`, Yes},
		{"DateNotEquals", "ref", `"2026-11-20T12:00Z"`, No},
		{"DateLessThan", "ref", `"2027"`, Unknown},
		{"DateLessThan", "ref", `"2027-01-01T00:00:00"`, Unknown},
		{"DateLessThan", none, `"2027-01-01"`, No},

		{"ArnEquals", "workflow", `"arn:aws:iam::*:role/*"`, Yes},
		{"ArnLike", "workflow", `"arn:*:iam::123456789012:role/a:b"`, Yes},
		{"ArnLike", "workflow", `"arn:aws:*:role/a:b"`, Unknown},
		{"ArnLike", "workflow", `"arn:aws:*:*:role/a:b"`, No},
		{"ArnLike", "workflow", `"arn:aws:*:*:role/a:*:b"`, No},
		{"StringLike", "workflow", `"arn:aws:*:role/a:b"`, Yes},
		{"ArnNotLike", "workflow", `"arn:aws:iam::*:user/*"`, Yes},
		{"ArnNotEquals", "workflow", `"arn:aws:iam::*:role/*"`, No},
		{"ArnEquals", "sub", `"arn:aws:iam::*:role/*"`, Unknown},
		{"ArnNotEquals", none, `"arn:aws:iam::*:role/*"`, Yes},

		{"IpAddress", "aud", `"10.0.0.0/8"`, Unknown},
		{"NotIpAddress", none, `"10.0.0.0/8"`, Unknown},
		{"BinaryEquals", "aud", `"c3Rz"`, Unknown},
		{"ForSomeValues:StringEquals", "aud", `"sts"`, Unknown},
		{"stringequals", "aud", `"sts"`, Unknown},
		{"StringNotNotEquals", "aud", `"sts"`, Unknown},
		{"", "aud", `"sts"`, Unknown},

		// Policy variables.
		{"StringEquals", "actor", `"${@:actor}"`, Yes},
		{"StringEquals", "actor", `"${@:ACTOR}"`, Yes},
		{"StringLike", "sub", `"repo:${@:none, 'acme'}/*"`, Yes},
		{"StringLike", "sub", `"repo:${@:none, 'x'}/*"`, No},
		{"StringLike", "sub", `"repo:${@:none}/*"`, No},
		{"StringNotLike", "sub", `"repo:${@:none}/*"`, Unknown},
		{"StringNotLike", "sub", `["repo:${@:none}/*", "repo:*"]`, No},
		{"StringEquals", "aud", `["${@:none}", "sts"]`, Unknown},
		{"StringEquals", "aud", `"${aws:SourceIp}"`, Unknown},
		{"StringEquals", "aud", `["${aws:SourceIp}", "sts"]`, Yes},
		{"StringEquals", "aud", `"${@:amr}"`, Unknown},
		{"StringEquals", "aud", `"${@:aud"`, Unknown},
		{"StringLike", "environment", `"a${*}b${?}c${$}d"`, Yes},
		{"StringEquals", "environment", `"a${*}b${?}c${$}d"`, Yes},
		{"StringLike", "environment", `"${@:environment}"`, Yes},
		{"StringLike", "sub", `"repo:acme${*}"`, No},
		{"StringLike", "aud", `"${@:environment}"`, No},
		{"ArnLike", "workflow", `"arn:aws:iam::${aws:none, '123456789012'}:role/*"`, Unknown},
		{"ArnLike", "workflow", `"arn:aws:iam::${@:none, '123456789012'}:role/*"`, Yes},
		{"Bool", "actor", `"${@:actor}"`, Unknown},
	} {
		t.Run(fmt.Sprint(tt.operator, tt.key, tt.values), func(t *testing.T) {
			values := strings.ReplaceAll(tt.values, "${@:", "${"+gitHub+":")
			condition := fmt.Sprintf(`%q: {"%s:%s": %s}`, tt.operator, gitHub, tt.key, values)
			policy := oneStatement(condition)
			r := Request{Role: role, Claims: operatorClaims(), Now: noon}
			v := evaluate(t, policy, r)
			check := v.Statements[0].Conditions[0]
			if check.Holds != tt.want || v.Admits != tt.want {
				t.Errorf("%v (admits %v), want %v\n%s", check.Holds, v.Admits, tt.want, v)
			}
			if check.Holds == Unknown && check.Why == "" {
				t.Errorf("no reason for Unknown\n%s", v)
			}
		})
	}
}

// TestVersion checks that only the Version 2012-10-17 supports policy variables.
func TestVersion(t *testing.T) {
	for version, want := range map[string]Result{
		`"Version": "2012-10-17",`: Yes,
		`"Version": "2008-10-17",`: No,
		``:                         No,
	} {
		policy := fmt.Sprintf(`{%s "Statement": {"Effect": "Allow", "Principal": "*", "Action": "*",
			"Condition": {"StringEquals": {"%s:actor": "${%[2]s:actor}"}}}}`, version, gitHub)
		v := evaluate(t, policy, Request{Role: role, Claims: operatorClaims()})
		if v.Admits != want {
			t.Errorf("%s: %v, want %v", version, v.Admits, want)
		}
	}
}

// TestLookup checks the values of condition keys that are not claims.
func TestLookup(t *testing.T) {
	const idp = "idp.example.com"
	tags := map[string]any{
		"iss": "https://" + idp, "sub": "s", "n": 1e6,
		"https://aws.amazon.com/source_identity": "alice",
		"https://aws.amazon.com/tags": map[string]any{
			"principal_tags":      map[string]any{"Team": []any{"a"}},
			"transitive_tag_keys": []any{"Team"},
		},
		"https://aws.amazon.com/tags/principal_tags/CostCenter": "7",
	}
	plain := map[string]any{
		"iss": "https://" + idp,
		"sub": []any{map[string]any{}},
		"aud": map[string]any{},
	}
	for _, tt := range []struct {
		r    Request
		key  string
		want string
	}{
		{Request{Claims: tags}, "AWS:requesttag/team", "[a]"},
		{Request{Claims: tags}, "aws:RequestTag/CostCenter", "[7]"},
		{Request{Claims: tags}, "aws:TagKeys", "[CostCenter Team]"},
		{Request{Claims: tags}, "sts:TransitiveTagKeys", "[Team]"},
		{Request{Claims: tags}, "sts:SourceIdentity", "[alice]"},
		{Request{Claims: tags}, "aws:PrincipalTag/Team", "unknown"},
		{Request{Claims: plain}, "aws:PrincipalTag/Team", "[]"},
		{Request{Claims: plain}, "aws:TagKeys", "[]"},
		{Request{Claims: plain}, "aws:FederatedProvider", "unknown"},
		{Request{Claims: plain, Role: "arn:aws-cn:iam::1:role/a/b"}, "aws:FederatedProvider",
			"[arn:aws-cn:iam::1:oidc-provider/" + idp + "]"},
		{Request{Claims: plain}, "aws:SecureTransport", "[true]"},
		{Request{Claims: plain}, "aws:CurrentTime", "unknown"},
		{Request{Claims: plain, Now: noon}, "aws:CurrentTime", "[2026-11-20T12:00:00Z]"},
		{Request{Claims: plain, Now: noon}, "aws:EpochTime", "[1795176000]"},
		{Request{Claims: plain}, "sts:RoleSessionName", "unknown"},
		{Request{Claims: plain, SessionName: "ci"}, "sts:RoleSessionName", "[ci]"},
		{Request{Claims: plain}, "sts:ExternalId", "[]"},
		{Request{Claims: plain}, "sts:RoleAuthorizedByIdp", "unknown"},
		{Request{Claims: plain, Role: role}, "sts:RoleAuthorizedByIdp", "[false]"},
		{Request{Claims: plain}, "aws:SourceIp", "unknown"},
		{Request{Claims: plain}, "aws:PrincipalArn", "unknown"},
		{Request{Claims: plain}, "s3:prefix", "unknown"},
		{Request{Claims: plain}, "idp.example.com:aud", "unknown"},
		{Request{Claims: plain}, "idp.example.com:n", "[]"},
		{Request{Claims: plain}, "other.example.com:sub", "[]"},
		{Request{Claims: plain}, "sub", "[]"},
	} {
		a, err := newRequestContext(tt.r)
		if err != nil {
			t.Fatal(err)
		}
		v := a.lookup(tt.key)
		got := fmt.Sprint(v.values)
		if v.unknownReason != "" {
			got = "unknown"
		}
		if got != tt.want {
			t.Errorf("%s: %s, want %s", tt.key, got, tt.want)
		}
	}
	got := claimValue([]any{true, 1e6, "x"})
	if fmt.Sprint(got.values) != "[true 1000000 x]" || got.unknownReason != "" {
		t.Error(got)
	}
}

func TestPatternMatch(t *testing.T) {
	for _, tt := range []struct {
		pattern, text string
		want          bool
	}{
		{"", "", true}, {"*", "", true}, {"?", "", false}, {"**", "a", true},
		{"a*b*c", "aXbYbZc", true}, {"a*b*c", "aXbYbZ", false}, {"*ab", "aab", true},
		{"?", "é", true}, {"a?c", "a\nc", true}, {"a.c", "abc", false}, {"*x*x*x*", "xx", false},
	} {
		if got := parsePattern(tt.pattern).match(tt.text); got != tt.want {
			t.Errorf("%q matches %q: %v", tt.text, tt.pattern, got)
		}
	}
}
