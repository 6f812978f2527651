package trust

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"
)

// oneStatement returns a policy for GitHub with these conditions, as JSON.
func oneStatement(conditions string) string {
	return fmt.Sprintf(`{"Version": "2012-10-17", "Statement": [{"Effect": "Allow",
		"Principal": {"Federated": %q},
		"Action": "sts:AssumeRoleWithWebIdentity", "Condition": {%s}}]}`, gitHubARN, conditions)
}

// repeated returns a JSON list that contains a string n times.
func repeated(value string, n int) string {
	return "[" + strings.TrimSuffix(strings.Repeat(fmt.Sprintf("%q,", value), n), ",") + "]"
}

// manyNames returns an object with n members.
func manyNames(n int) map[string]any {
	object := map[string]any{}
	for i := range n {
		object[fmt.Sprint(i)] = ""
	}
	return object
}

// manyTags returns n members with the keys of session tags, each followed by a comma.
func manyTags(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, `"aws:RequestTag/%d": "true",`, i)
	}
	return b.String()
}

// TestSizeLimits checks that a policy above IAM's limit, and claims above that of a token, are
// errors.
func TestSizeLimits(t *testing.T) {
	policy := func(n int) string {
		text := strings.Repeat("a", n)
		return oneStatement(fmt.Sprintf(`"StringLike": {"%s:sub": "*%sb"}`, gitHub, text))
	}
	for _, tt := range []struct {
		name, policy string
		wrong        string
	}{
		{"within the limit", policy(7900), ""},
		{"above the limit", policy(8192),
			"exceeds IAM's limit of 8192 characters, not counting white space"},
		{"white space", policy(7900) + strings.Repeat("\n", 20000), ""},
		{"indentation",
			strings.ReplaceAll(policy(7900), `"Action"`, strings.Repeat(" ", 20000)+`"Action"`),
			""},
		{"output of get-role within the limit",
			`{"Role": {"Description": "` + strings.Repeat("x", 5000) +
				`", "AssumeRolePolicyDocument": ` + policy(7900) + `}}`, ""},
		{"output of get-role above the limit",
			`{"Role": {"AssumeRolePolicyDocument": ` + policy(8192) + `}}`,
			"exceeds IAM's limit"},
		{"many list elements",
			oneStatement(fmt.Sprintf(`"StringLike": {"%s:sub": %s}`, gitHub, repeated("", 3000))),
			"exceeds IAM's limit"},
		{"long path",
			strings.Repeat(`{"`+strings.Repeat("\x7f", 600)+`": `, 9) + `[` +
				strings.Repeat("0,", 25000) + `0]` + strings.Repeat("}", 9), "too long"},
	} {
		_, err := Parse([]byte(tt.policy))
		switch {
		case err == nil && tt.wrong == "":
		case err == nil || tt.wrong == "" || !strings.Contains(err.Error(), tt.wrong),
			len(err.Error()) > 3000:
			t.Errorf("%s: %v; want %q", tt.name, err, tt.wrong)
		}
	}
	for n, long := range map[int]bool{14900: false, 20000: true} {
		r := Request{Role: role, Claims: map[string]any{"iss": "https://" + gitHub, "sub": strings.Repeat("<", n)}}
		p, err := Parse([]byte(policy(1)))
		if err != nil {
			t.Fatal(err)
		}
		_, err1 := Evaluate(p, r)
		_, err2 := MinimalPolicy(r)
		for _, err := range []error{err1, err2} {
			const wrong = "exceed the 20000 characters that STS accepts for a token"
			if (err != nil) != long || long && !strings.Contains(err.Error(), wrong) {
				t.Errorf("%d: %v", n, err)
			}
		}
	}
}

// TestTimeWithinLimits checks that the slowest policies and claims within the limits take less
// than five seconds.
func TestTimeWithinLimits(t *testing.T) {
	long := func(n int) string { return strings.Repeat("a", n) }
	amr := make([]any, 2500)
	for i := range amr {
		amr[i] = "a"
	}
	nested := any("x")
	for range 3000 {
		nested = []any{nested}
	}
	claims := func(more map[string]any) map[string]any {
		more["iss"] = "https://" + gitHub
		return more
	}
	const both = `["` + gitHubARN + `", "arn:aws:iam::123456789012:oidc-provider/oidc.circleci.com"]`
	on := func(operator, key, values string) string {
		return fmt.Sprintf(`%q: {"%s:%s": %s}`, operator, gitHub, key, values)
	}
	for _, tt := range []struct {
		name      string
		condition string
		claims    map[string]any
	}{
		{"long pattern", on("StringLike", "sub", `"*`+long(7800)+`b"`),
			claims(map[string]any{"sub": long(14000)})},
		{"long pattern from a variable",
			on("StringLike", "sub", repeated("*?${"+gitHub+":actor}b", 130)),
			claims(map[string]any{"sub": long(9000), "actor": long(4400)})},
		{"long patterns, many values",
			on("ForAnyValue:StringLike", "amr", repeated("${"+gitHub+":sub}", 130)),
			claims(map[string]any{"sub": long(7000), "amr": amr})},
		{"long ARNs, many values",
			on("ForAnyValue:ArnLike", "amr", repeated("${"+gitHub+":sub}", 130)),
			claims(map[string]any{"sub": long(7000), "amr": amr})},
		{"long texts, many values",
			on("ForAnyValue:StringEquals", "amr", repeated("${"+gitHub+":sub}", 130)),
			claims(map[string]any{"sub": long(7000), "amr": amr})},
		{"long numbers, many values",
			on("ForAnyValue:NumericEquals", "amr", repeated("${"+gitHub+":sub}", 130)),
			claims(map[string]any{"sub": strings.Repeat("1", 7000), "amr": amr})},
		{"repeated variable",
			on("StringLike", "sub", `"`+strings.Repeat("${"+gitHub+":actor}", 150)+`"`),
			claims(map[string]any{"sub": long(7000), "actor": long(7000)})},
		{"many values", on("ForAnyValue:StringEquals", "amr", repeated("b", 1900)),
			claims(map[string]any{"amr": amr})},
		{"nested lists", on("ForAnyValue:StringEquals", "amr", repeated("${"+gitHub+":amr}", 130)),
			claims(map[string]any{"amr": []any{nested, amr}})},
		{"corrections of many values", on("StringEquals", "sub", repeated("r*", 1500)),
			claims(map[string]any{"sub": "repo:acme@1/app@2:" + long(950)})},
		{"corrections of patterns",
			on("StringLike", "sub", repeated(strings.Repeat("*a", 250)+"b", 14)),
			claims(map[string]any{"sub": "repo:" + long(480)})},
		{"many claims and tags", `"Null": {` + strings.TrimSuffix(manyTags(250), ",") + `}`,
			claims(map[string]any{tagsClaim: map[string]any{"principal_tags": manyNames(1400)}})},
		{"wildcards in CircleCI's subject",
			`"StringLike": {"oidc.circleci.com:sub": "` + strings.Repeat("*a", 3900) + `:"}`,
			claims(map[string]any{"sub": "x"})},
	} {
		start := time.Now()
		policy := strings.Replace(oneStatement(tt.condition), `"`+gitHubARN+`"`, both, 1)
		p, err := Parse([]byte(policy))
		if err != nil {
			t.Errorf("%s: %v", tt.name, err)
			continue
		}
		v, err := Evaluate(p, Request{Role: role, Claims: tt.claims})
		if took := time.Since(start); err != nil || took > 5*time.Second {
			t.Errorf("%s: %v, %v", tt.name, took, err)
		}
		if text := v.String(); len(text) > 1<<20 {
			t.Errorf("%s: the text has %d bytes", tt.name, len(text))
		}
	}
}

// TestMatcher compares the matcher with the definition of a match, also for patterns whose states
// need several words.
func TestMatcher(t *testing.T) {
	matches := func(p, text string) bool { // table[i][j]: whether p[i:] matches text[j:]
		table := make([][]bool, len(p)+1)
		for i := len(p); i >= 0; i-- {
			table[i] = make([]bool, len(text)+1)
			for j := len(text); j >= 0; j-- {
				switch {
				case i == len(p):
					table[i][j] = j == len(text)
				case p[i] == '*':
					table[i][j] = table[i+1][j] || j < len(text) && table[i][j+1]
				default:
					table[i][j] = j < len(text) && (p[i] == '?' || p[i] == text[j]) &&
						table[i+1][j+1]
				}
			}
		}
		return table[0][0]
	}
	random := rand.New(rand.NewPCG(1, 2))
	some := func(from string, n int) string {
		b := make([]byte, n)
		for i := range b {
			b[i] = from[random.IntN(len(from))]
		}
		return string(b)
	}
	count := map[bool]int{}
	for range 5000 {
		before, after := strings.Repeat("a", random.IntN(70)), strings.Repeat("b", random.IntN(70))
		p := before + some("ab*?", random.IntN(10)) + after
		text := before + some("ab", random.IntN(10)) + after
		want := matches(p, text)
		if count[want]++; parsePattern(p).match(text) != want {
			t.Fatalf("%q like %q: %v", text, p, !want)
		}
	}
	if count[true] < 500 || count[false] < 500 {
		t.Errorf("the samples are one-sided: %v", count)
	}
}
