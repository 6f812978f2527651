package trust

import (
	"encoding/json"
	"fmt"
	"net/url"
	"reflect"
	"strings"
	"testing"
)

// The forms in which people have a trust policy at hand all come to the same.
func TestParseForms(t *testing.T) {
	document := sts(mainSub)
	want, err := Parse([]byte(document))
	if err != nil {
		t.Fatal(err)
	}
	if s := want.Statements[0]; len(want.Statements) != 1 || s.Effect != "Allow" || s.Principals[0] != (Principal{"Federated", gitHubARN}) || len(s.Conditions) != 2 ||
		s.Conditions[0].Key != gitHub+":aud" || s.Conditions[1].at != "Statement[0].Condition.StringEquals."+gitHub+":sub" {
		t.Errorf("%+v", want)
	}
	quoted, err := json.Marshal(document)
	if err != nil {
		t.Fatal(err)
	}
	encoded := url.PathEscape(document)
	for name, tt := range map[string]struct{ text, role string }{
		"byte order mark, spaces":               {"\ufeff\r\n " + document + "\n\n", ""},
		"a string":                              {string(quoted), ""},
		"percent-encoded":                       {encoded, ""},
		"percent-encoded, as AWS":               {strings.NewReplacer("+", "%20", "%7B", "%7b").Replace(url.QueryEscape(document)), ""},
		"aws iam get-role":                      {`{"Role": {"Path": "/", "RoleName": "ci", "Arn": "` + role + `", "AssumeRolePolicyDocument": ` + document + `, "MaxSessionDuration": 3600}}`, role},
		"aws iam get-role --query Role":         {`{"Arn": "` + role + `", "AssumeRolePolicyDocument": ` + document + `}`, role},
		"the API's document in JSON":            {`{"Role": {"AssumeRolePolicyDocument": "` + encoded + `", "Arn": "` + role + `"}}`, role},
		"terraform show -json, one resource":    {`{"arn": "` + role + `", "name": "ci", "assume_role_policy": ` + string(quoted) + `}`, role},
		"--query Role.AssumeRolePolicyDocument": {strings.ReplaceAll(document, "\t", "    "), ""},
	} {
		p, err := Parse([]byte(tt.text))
		if p.Role != tt.role {
			t.Errorf("%s: role %q, want %q", name, p.Role, tt.role)
		}
		p.Role = ""
		if err != nil || !reflect.DeepEqual(p, want) {
			t.Errorf("%s: %+v, %v", name, p, err)
		}
	}
	list, err := Parse([]byte(`{"Id": "x", "Statement": {"Sid": "s", "Effect": "Deny", "NotPrincipal": {"AWS": ["a", "b"], "Service": "c", "CanonicalUser": "d"}, "NotAction": ["x", "y"], "Condition": {"Bool": {"k": [true, 1]}}}}`))
	s := list.Statements[0]
	if err != nil || !s.NotPrincipal || !s.NotAction || len(s.Principals) != 4 || len(s.Actions) != 2 || s.Sid != "s" || s.Effect != "Deny" || fmt.Sprint(s.Conditions[0].Values) != "[true 1]" {
		t.Errorf("%+v, %v", list, err)
	}
}

func TestParseRefuses(t *testing.T) {
	allow := func(parts string) string { return `{"Statement": [{"Effect": "Allow", ` + parts + `}]}` }
	const rest = `"Principal": "*", "Action": "*"`
	for text, want := range map[string]string{
		"":                                      "line 1: this is not JSON",
		"nonsense":                              "line 1: this is not JSON",
		"{\n\"Statement\": [\n{,":               "line 3: this is not JSON",
		"%zz":                                   "line 1: this is not JSON",
		`{"Statement": []`:                      "line 1: this is not JSON",
		"assume_role_policy = jsonencode({\n})": "terraform show -json",
		`[]`:                                    "line 1: an object is wanted",
		`"x"`:                                   "line 1: this is not JSON",
		`7`:                                     "an object is wanted",
		`{}`:                                    "it has no statement",
		`{"Statement": []}`:                     "it has no statement",
		`{"Statement": null}`:                   "Statement, line 1: an object is wanted",
		`{"statement": []}`:                     "statement, line 1: IAM writes it Statement",
		allow(rest) + `x`:                       "there is more",
		allow(rest) + `{}`:                      "there is more",
		`{"Version": "2012-10-18", "Statement": {}}`:                                     "Version, line 1: IAM knows the versions",
		`{"Version": null, "Statement": {}}`:                                             "Version, line 1: IAM knows the versions",
		"{\"Statement\": [\n" + `{"Effect": "Allow", ` + rest + ", \n\"Resource\": 1}]}": `Statement[0].Resource, line 3: "Resource" does not belong here`,
		allow(rest + `, "Principle": "*"`):                                               `Statement[0].Principle, line 1: "Principle" does not belong here`,
		allow(rest + `, "Action": "*"`):                                                  `Statement[0], line 1: "Action" is there twice`,
		allow(rest + `, "NotAction": "*"`):                                               "it must have an Action",
		allow(`"Principal": "*"`):                                                        "it must have an Action",
		allow(`"Action": "*"`):                                                           "it must have a Principal",
		`{"Statement": {"Effect": "allow", ` + rest + `}}`:                               "Statement, line 1: its Effect must be",
		`{"Statement": {` + rest + `}}`:                                                  "its Effect must be",
		allow(`"Principal": {}, "Action": "*"`):                                          "its Principal names nobody",
		allow(`"NotPrincipal": {"AWS": []}, "Action": "*"`):                              "its Principal names nobody",
		allow(`"Principal": "x", "Action": "*"`):                                         "Statement[0].Principal, line 1: an object is wanted",
		allow(`"Principal": {"aws": "x"}, "Action": "*"`):                                "IAM writes it AWS",
		allow(`"Principal": {"User": "x"}, "Action": "*"`):                               `"User" does not belong here`,
		allow(`"Principal": {"AWS": 123456789012}, "Action": "*"`):                       "Statement[0].Principal.AWS, line 1: a string is wanted",
		allow(`"Principal": {"AWS": ["x", ["y"]]}, "Action": "*"`):                       "Statement[0].Principal.AWS[1], line 1: a string is wanted",
		allow(`"Principal": "*", "Action": 1`):                                           "a string is wanted",
		allow(rest + `, "Condition": []`):                                                "an object is wanted",
		allow(rest + `, "Condition": {"StringEquals": "x"}`):                             "an object is wanted",
		allow(rest + `, "Condition": {"StringEquals": {"a:b": {}}}`):                     "a string is wanted",
		allow(rest + `, "Condition": {"StringEquals": {"a:b": null}}`):                   "a string is wanted",
		allow(rest + `, "Condition": {"StringEquals": {"a:b": "x", "A:B": "y"}}`):        "Statement[0].Condition.StringEquals.A:B, line 1: it is there twice",
		allow(rest + `, "Condition": {"StringEquals": {}, "StringEquals": {}}`):          `Statement[0].Condition, line 1: "StringEquals" is there twice`,
		`{"Role": {"AssumeRolePolicyDocument": "{}"}}`:                                   "it has no statement",
		strings.Repeat(`[`, 100):                                                         "nested too deeply",
		strings.Repeat(" ", MaxPolicySize) + allow(rest):                                 "more than the 65536",
	} {
		p, err := Parse([]byte(text))
		if err == nil || !strings.HasPrefix(err.Error(), "reading the trust policy: ") || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%.100s: %+v, %v; want %q", text, p, err, want)
		}
	}
}

func TestRequestsRefused(t *testing.T) {
	p, err := Parse([]byte(sts(mainSub)))
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range []Request{
		{Role: role}, {Role: role, Claims: map[string]any{"iss": 1}}, {Role: role, Claims: map[string]any{"iss": "https://"}},
		{Role: "ci", Claims: gh(mainSub)}, {Role: "arn:aws:iam::123456789012:user/x", Claims: gh(mainSub)}, {Role: "arn:aws:iam:::role/x", Claims: gh(mainSub)},
		{Role: "arn:aws:sts::123456789012:assumed-role/x/y", Claims: gh(mainSub)},
	} {
		if v, err := Evaluate(p, r); err == nil || v.Admits != No {
			t.Errorf("%+v: %v", r, v)
		}
		if _, err := MinimalPolicy(r); err == nil {
			t.Errorf("%+v: a policy was suggested", r)
		}
	}
}

// Nothing of a policy or a token reaches a terminal, or GitHub's runner, as more than text.
func TestPrintsSafely(t *testing.T) {
	const evil = "x\x1b[2J\r\n::error::y\u202e##[add-mask]z"
	text, err := json.Marshal(evil)
	if err != nil {
		t.Fatal(err)
	}
	e := string(text)
	policy := fmt.Sprintf(`{"Version": "2012-10-17", "Statement": {"Sid": %s, "Effect": "Allow", "Principal": {"Federated": ["arn:aws:iam::1:oidc-provider/"%s, %s]}, "Action": %s,
		"Condition": {%s: {%s: %s}, "StringEquals": {%s: %s, "%s:sub": %s}}}}`, e, "", e, e, e, e, e, e, e, gitHub, e)
	v := evaluate(t, policy, Request{Role: role, Claims: gh(evil+"!", "aud="+evil)})
	_, failed := Parse([]byte(fmt.Sprintf(`{"Statement": {%s: 1, %[1]s: 1}}`, e)))
	_, refused := Evaluate(Policy{}, Request{Role: evil, Claims: gh("s")})
	texts := []string{v.String(), failed.Error(), refused.Error()}
	for _, f := range v.Findings {
		texts = append(texts, f.Text, f.At)
	}
	for _, text := range texts {
		if strings.ContainsAny(text, "\x1b\r\u202e") || strings.Contains(text, "##[") || strings.Contains(text, "\n::") || strings.Contains(text, "\ny") {
			t.Errorf("%q", text)
		}
	}
	if !strings.Contains(v.String(), `x\x1b[2J\r\n::error::y\u202e#\x23[add-mask]z`) {
		t.Errorf("it does not show what there is:\n%s", v)
	}
}
