package trust_test

import (
	"encoding/json"
	"math/rand/v2"
)

const (
	role   = "arn:aws:iam::123456789012:role/ci"
	issuer = "token.actions.githubusercontent.com"
	arn    = "arn:aws:iam::123456789012:oidc-provider/" + issuer
)

// sample is a generated policy and the claims of a generated token.
type sample struct {
	Policy map[string]any
	Claims map[string]any
}

func (s sample) policy() string {
	text, err := json.Marshal(s.Policy)
	if err != nil {
		panic(err)
	}
	return string(text)
}

// generator generates samples. It uses few different values, so that many conditions match.
type generator struct {
	*rand.Rand
	variables bool // generate policy variables
}

func pick[T any](g generator, of ...T) T { return of[g.IntN(len(of))] }

// oneOrTwo returns a list of one or two values.
func (g generator) oneOrTwo(of ...string) []any {
	list := make([]any, 1+g.IntN(2))
	for i := range list {
		list[i] = pick(g, of...)
	}
	return list
}

var subjects = []string{
	"repo:acme/app:ref:refs/heads/main",
	"repo:acme/app:pull_request",
	"repo:acme/app:environment:prod",
	"repo:Acme/app:pull_request",
	"repo:acme@1/app@2:ref:refs/heads/main",
	"repo:acme-evil/app:ref:refs/heads/main",
	"repo:acme/ap*:pull_request",
	"", // only in policies
}

var patterns = append([]string{
	"repo:acme/*",
	"repo:acme/app:*",
	"*",
	"repo:*:pull_request",
	"repo:acme/ap?:*",
	"?epo:acme/app:ref:refs/heads/main",
	"repo:acme@*/app@*:ref:*",
	"**main",
	"repo:acme/app",
}, subjects...)

var withVariables = []string{
	"repo:${" + issuer + ":repository}:pull_request",
	"repo:acme/ap${*}:pull_request",
	"${" + issuer + ":environment, 'prod'}",
	"${" + issuer + ":event_name}",
	"a${$}b",
	"repo:acme/app:environment:${" + issuer + ":environment}",
}

func (g generator) claims() map[string]any {
	claims := map[string]any{
		"iss": "https://" + issuer,
		"aud": pick(g, "sts.amazonaws.com", "https://github.com/acme"),
		"sub": pick(g, subjects[:len(subjects)-1]...),
	}
	for _, claim := range []struct {
		name   string
		values []string
	}{
		{"repository", []string{"acme/app", "acme/other"}},
		{"repository_id", []string{"1", "10", "9.5"}},
		{"environment", []string{"prod", "dev"}},
		{"ref", []string{"refs/heads/main"}},
		{"actor", []string{"true", "false", "octocat"}},
		{"repository_owner_id", []string{"1700000000", "2026-11-20T00:00:00Z"}},
		{"workflow", []string{"arn:aws:iam::123456789012:role/a:b", "arn:aws:s3:::x"}},
		{"event_name", []string{"push"}},
	} {
		if g.IntN(3) > 0 {
			claims[claim.name] = pick(g, claim.values...)
		}
	}
	return claims
}

// condition returns an operator and one or two keys with values.
func (g generator) condition(operators []string) (string, map[string]any) {
	operator := pick(g, "", "", "ForAnyValue:", "ForAllValues:") + pick(g, operators...)
	keys := map[string]any{}
	for range 1 + g.IntN(2) {
		claim, values := "sub", patterns
		switch g.IntN(6) {
		case 0:
			claim = "aud"
			values = []string{"sts.amazonaws.com", "sts.*", "STS.amazonaws.com"}
		case 1:
			claim = pick(g, "repository_id", "actor")
			values = []string{"1", "10", "9.5", "true", "false", "TRUE", "oct*"}
		case 2:
			claim = pick(g, "repository_owner_id", "workflow")
			values = []string{"1700000000", "2026-11-20T00:00:00Z", "2026-12-01",
				"arn:aws:*:*:*:*", "arn:aws:iam::123456789012:role/*", "arn:*:role/a:b"}
		case 3:
			claim = pick(g, "environment", "event_name", "REPOSITORY")
			values = []string{"prod", "push", "acme/*", "acme/app", "true", "false"}
		}
		if g.variables && g.IntN(4) == 0 {
			values = withVariables
		}
		key := pick(g, issuer, issuer, issuer, "gitlab.com") + ":" + claim
		keys[key] = pick[any](g, g.oneOrTwo(values...), pick(g, values...))
	}
	if pick(g, true, false, false) {
		operator += "IfExists"
	}
	return operator, keys
}

// sample returns a policy of one to three statements with the operators, and the claims of a token.
func (g generator) sample(operators []string) sample {
	const otherARN = "arn:aws:iam::210987654321:oidc-provider/" + issuer
	statements := []any{}
	for range 1 + g.IntN(3) {
		s := map[string]any{
			"Effect": pick(g, "Allow", "Allow", "Allow", "Deny"),
			"Principal": pick[any](g,
				map[string]any{"Federated": arn},
				map[string]any{"Federated": arn},
				map[string]any{"Federated": []string{"x", arn}},
				"*",
				map[string]any{"AWS": "123456789012"},
				map[string]any{"Federated": otherARN}),
			"Action": pick[any](g,
				"sts:AssumeRoleWithWebIdentity",
				"sts:*",
				[]string{"sts:TagSession", "STS:AssumeRoleWith*"},
				"sts:AssumeRole"),
		}
		condition := map[string]any{}
		for range g.IntN(3) {
			operator, keys := g.condition(operators)
			condition[operator] = keys
		}
		if len(condition) > 0 {
			s["Condition"] = condition
		}
		statements = append(statements, s)
	}
	policy := map[string]any{"Version": "2012-10-17", "Statement": statements}
	return sample{policy, g.claims()}
}
