package trust

import (
	"encoding/json"
	"fmt"
	"net/url"
	"reflect"
	"strings"
	"testing"
)

// TestParseFormats checks that Parse returns the same policy for each format of the document.
func TestParseFormats(t *testing.T) {
	document := sts(mainSub)
	want, err := Parse([]byte(document))
	if err != nil {
		t.Fatal(err)
	}
	s := want.Statements[0]
	if len(want.Statements) != 1 || len(s.Conditions) != 2 || s.Effect != "Allow" ||
		s.Principals[0] != (Principal{"Federated", gitHubARN}) ||
		s.Conditions[0].Key != gitHub+":aud" ||
		s.Conditions[1].path != "Statement[0].Condition.StringEquals."+gitHub+":sub" {
		t.Errorf("%+v", want)
	}
	quoted, err := json.Marshal(document)
	if err != nil {
		t.Fatal(err)
	}
	encoded := url.PathEscape(document)
	percentEncoded := strings.NewReplacer("+", "%20", "%7B", "%7b").Replace(url.QueryEscape(document))
	for _, tt := range []struct{ name, text, role string }{
		{"byte order mark and white space", "\ufeff\r\n " + document + "\n\n", ""},
		{"JSON string", string(quoted), ""},
		{"percent-encoded", encoded, ""},
		{"percent-encoded by AWS", percentEncoded, ""},
		{"aws iam get-role", `{"Role": {"Path": "/", "RoleName": "ci", "Arn": "` + role + `",
			"AssumeRolePolicyDocument": ` + document + `, "MaxSessionDuration": 3600}}`, role},
		{"aws iam get-role --query Role",
			`{"Arn": "` + role + `", "AssumeRolePolicyDocument": ` + document + `}`, role},
		{"document of the API in JSON",
			`{"Role": {"AssumeRolePolicyDocument": "` + encoded + `", "Arn": "` + role + `"}}`, role},
		{"terraform show -json, one resource", `{"arn": "` + role + `", "name": "ci",
			"assume_role_policy": ` + string(quoted) + `}`, role},
		{"--query Role.AssumeRolePolicyDocument",
			strings.ReplaceAll(document, "\t", "    "), ""},
	} {
		p, err := Parse([]byte(tt.text))
		if p.Role != tt.role {
			t.Errorf("%s: role %q, want %q", tt.name, p.Role, tt.role)
		}
		p.Role = ""
		if err != nil || !reflect.DeepEqual(p, want) {
			t.Errorf("%s: %+v, %v", tt.name, p, err)
		}
	}
}

func TestParseOneStatement(t *testing.T) {
	p, err := Parse([]byte(`{"Id": "x", "Statement": {"Sid": "s", "Effect": "Deny",
		"NotPrincipal": {"AWS": ["a", "b"], "Service": "c", "CanonicalUser": "d"},
		"NotAction": ["x", "y"], "Condition": {"Bool": {"k": [true, 1]}}}}`))
	if err != nil {
		t.Fatal(err)
	}
	s := p.Statements[0]
	if !s.NotPrincipal || !s.NotAction || len(s.Principals) != 4 || len(s.Actions) != 2 ||
		s.Sid != "s" || s.Effect != "Deny" || fmt.Sprint(s.Conditions[0].Values) != "[true 1]" {
		t.Errorf("%+v", p)
	}
}

func TestParseErrors(t *testing.T) {
	allow := func(parts string) string { return `{"Statement": [{"Effect": "Allow", ` + parts + `}]}` }
	const rest = `"Principal": "*", "Action": "*"`
	for _, tt := range []struct{ text, want string }{
		{"", "line 1: invalid JSON"},
		{"nonsense", "line 1: invalid JSON"},
		{"{\n\"Statement\": [\n{,", "line 3: invalid JSON"},
		{"%zz", "line 1: invalid JSON"},
		{`{"Statement": []`, "line 1: invalid JSON"},
		{"assume_role_policy = jsonencode({\n})", "terraform show -json"},
		{`[]`, "line 1: expected an object"},
		{`"x"`, "line 1: invalid JSON"},
		{`7`, "expected an object"},
		{`{}`, "the policy has no statement"},
		{`{"Statement": []}`, "the policy has no statement"},
		{`{"Statement": null}`, "Statement, line 1: expected an object"},
		{`{"statement": []}`, "statement, line 1: names are case-sensitive; use Statement"},
		{allow(rest) + `x`, "unexpected data after the document"},
		{allow(rest) + `{}`, "unexpected data after the document"},
		{`{"Version": "2012-10-18", "Statement": {}}`,
			"Version, line 1: the supported versions are"},
		{`{"Version": null, "Statement": {}}`,
			"Version, line 1: the supported versions are"},
		{"{\"Statement\": [\n" + `{"Effect": "Allow", ` + rest + ", \n\"Resource\": 1}]}",
			`Statement[0].Resource, line 3: unexpected name "Resource"`},
		{allow(rest + `, "Principle": "*"`),
			`Statement[0].Principle, line 1: unexpected name "Principle"`},
		{allow(rest + `, "Action": "*"`), `Statement[0], line 1: duplicate name "Action"`},
		{allow(rest + `, "NotAction": "*"`),
			"the statement must have one Action or NotAction"},
		{allow(`"Principal": "*"`), "the statement must have one Action or NotAction"},
		{allow(`"Action": "*"`), "the statement must have one Principal or NotPrincipal"},
		{`{"Statement": {"Effect": "allow", ` + rest + `}}`,
			"Statement, line 1: the Effect must be"},
		{`{"Statement": {` + rest + `}}`, "the Effect must be"},
		{allow(`"Principal": {}, "Action": "*"`), "the Principal is empty"},
		{allow(`"NotPrincipal": {"AWS": []}, "Action": "*"`), "the Principal is empty"},
		{allow(`"Principal": "x", "Action": "*"`),
			"Statement[0].Principal, line 1: expected an object"},
		{allow(`"Principal": {"aws": "x"}, "Action": "*"`),
			"names are case-sensitive; use AWS"},
		{allow(`"Principal": {"User": "x"}, "Action": "*"`), `unexpected name "User"`},
		{allow(`"Principal": {"AWS": 123456789012}, "Action": "*"`),
			"Statement[0].Principal.AWS, line 1: expected a string"},
		{allow(`"Principal": {"AWS": ["x", ["y"]]}, "Action": "*"`),
			"Statement[0].Principal.AWS[1], line 1: expected a string"},
		{allow(`"Principal": "*", "Action": 1`), "expected a string"},
		{allow(rest + `, "Condition": []`), "expected an object"},
		{allow(rest + `, "Condition": {"StringEquals": "x"}`), "expected an object"},
		{allow(rest + `, "Condition": {"StringEquals": {"a:b": {}}}`), "expected a string"},
		{allow(rest + `, "Condition": {"StringEquals": {"a:b": null}}`),
			"expected a string"},
		{allow(rest + `, "Condition": {"StringEquals": {"a:b": "x", "A:B": "y"}}`),
			"Statement[0].Condition.StringEquals.A:B, line 1: duplicate key"},
		{allow(rest + `, "Condition": {"StringEquals": {}, "StringEquals": {}}`),
			`Statement[0].Condition, line 1: duplicate name "StringEquals"`},
		{`{"Role": {"AssumeRolePolicyDocument": "{}"}}`, "the policy has no statement"},
		{strings.Repeat(`[`, 100), "nested too deeply"},
		{strings.Repeat(" ", MaxPolicySize) + allow(rest),
			"exceeds the limit of 65536 bytes"},
	} {
		p, err := Parse([]byte(tt.text))
		if err == nil {
			t.Errorf("%.100s: %+v, want %q", tt.text, p, tt.want)
			continue
		}
		if text := err.Error(); !strings.HasPrefix(text, "reading the trust policy: ") ||
			!strings.Contains(text, tt.want) || strings.Contains(text, "\n") {
			t.Errorf("%.100s: %v; want %q", tt.text, err, tt.want)
		}
	}
}

func TestInvalidRequests(t *testing.T) {
	p, err := Parse([]byte(sts(mainSub)))
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range []Request{
		{Role: role},
		{Role: role, Claims: map[string]any{"iss": 1}},
		{Role: role, Claims: map[string]any{"iss": "https://"}},
		{Role: "ci", Claims: gh(mainSub)},
		{Role: "arn:aws:iam::123456789012:user/x", Claims: gh(mainSub)},
		{Role: "arn:aws:iam:::role/x", Claims: gh(mainSub)},
		{Role: "arn:aws:sts::123456789012:assumed-role/x/y", Claims: gh(mainSub)},
	} {
		if v, err := Evaluate(p, r); err == nil || v.Admits != No {
			t.Errorf("%+v: %v", r, v)
		}
		if _, err := MinimalPolicy(r); err == nil {
			t.Errorf("%+v: MinimalPolicy returned a policy", r)
		}
	}
}

// TestControlCharacters checks that no text of a policy or a token can control a terminal or
// GitHub's runner.
func TestControlCharacters(t *testing.T) {
	const evil = "x\x1b[2J\r\n::error::y\u202e##[add-mask]z"
	text, err := json.Marshal(evil)
	if err != nil {
		t.Fatal(err)
	}
	e := string(text)
	policy := fmt.Sprintf(`{"Version": "2012-10-17", "Statement": {"Sid": %[1]s, "Effect": "Allow",
		"Principal": {"Federated": ["arn:aws:iam::1:oidc-provider/", %[1]s]}, "Action": %[1]s,
		"Condition": {%[1]s: {%[1]s: %[1]s},
			"StringEquals": {%[1]s: %[1]s, "%[2]s:sub": %[1]s}}}}`, e, gitHub)
	v := evaluate(t, policy, Request{Role: role, Claims: gh(evil+"!", "aud="+evil)})
	_, failed := Parse([]byte(fmt.Sprintf(`{"Statement": {%s: 1, %[1]s: 1}}`, e)))
	_, refused := Evaluate(Policy{}, Request{Role: evil, Claims: gh("s")})
	texts := []string{v.String(), failed.Error(), refused.Error()}
	for _, f := range v.Findings {
		texts = append(texts, f.Text, f.At)
	}
	for _, text := range texts {
		if strings.ContainsAny(text, "\x1b\r\u202e") || strings.Contains(text, "##[") ||
			strings.Contains(text, "\n::") || strings.Contains(text, "\ny") {
			t.Errorf("%q", text)
		}
	}
	if !strings.Contains(v.String(), `x\x1b[2J\r\n::error::y\u202e#\x23[add-mask]z`) {
		t.Errorf("the escaped text is missing:\n%s", v)
	}
}
