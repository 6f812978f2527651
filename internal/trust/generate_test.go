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

// A question is a policy and a token to put to more than one evaluator.
type question struct {
	Policy map[string]any `json:"policy"`
	Claims map[string]any `json:"claims"`
}

func (q question) policy() string {
	text, err := json.Marshal(q.Policy)
	if err != nil {
		panic(err)
	}
	return string(text)
}

// generator makes questions from few values, so that many of them match, in all the ways in which they can.
type generator struct {
	*rand.Rand
	variables bool // and values that are lists where AWS knows lists
}

func pick[T any](g generator, of ...T) T { return of[g.IntN(len(of))] }

func (g generator) some(of ...string) []any {
	list := make([]any, 1+g.IntN(2))
	for i := range list {
		list[i] = pick(g, of...)
	}
	return list
}

var subjects = []string{
	"repo:acme/app:ref:refs/heads/main", "repo:acme/app:pull_request", "repo:acme/app:environment:prod", "repo:Acme/app:pull_request",
	"repo:acme@1/app@2:ref:refs/heads/main", "repo:acme-evil/app:ref:refs/heads/main", "repo:acme/ap*:pull_request", "",
}

var patterns = append([]string{
	"repo:acme/*", "repo:acme/app:*", "*", "repo:*:pull_request", "repo:acme/ap?:*", "?epo:acme/app:ref:refs/heads/main", "repo:acme@*/app@*:ref:*", "**main", "repo:acme/app",
}, subjects...)

func (g generator) claims() map[string]any {
	claims := map[string]any{"iss": "https://" + issuer, "aud": pick(g, "sts.amazonaws.com", "https://github.com/acme"), "sub": pick(g, subjects[:len(subjects)-1]...)}
	for _, claim := range []struct {
		name   string
		values []string
	}{
		{"repository", []string{"acme/app", "acme/other"}}, {"repository_id", []string{"1", "10", "9.5"}}, {"environment", []string{"prod", "dev"}},
		{"ref", []string{"refs/heads/main"}}, {"actor", []string{"true", "false", "octocat"}}, {"repository_owner_id", []string{"1700000000", "2026-11-20T00:00:00Z"}},
		{"workflow", []string{"arn:aws:iam::123456789012:role/a:b", "arn:aws:s3:::x"}}, {"event_name", []string{"push"}},
	} {
		if g.IntN(3) > 0 {
			claims[claim.name] = pick(g, claim.values...)
		}
	}
	return claims
}

// condition makes one operator with one or two keys.
func (g generator) condition(operators []string) (string, map[string]any) {
	operator := pick(g, "", "", "ForAnyValue:", "ForAllValues:") + pick(g, operators...)
	keys := map[string]any{}
	for range 1 + g.IntN(2) {
		claim, values := "sub", patterns
		switch g.IntN(6) {
		case 0:
			claim, values = "aud", []string{"sts.amazonaws.com", "sts.*", "STS.amazonaws.com"}
		case 1:
			claim, values = pick(g, "repository_id", "actor"), []string{"1", "10", "9.5", "true", "false", "TRUE", "oct*"}
		case 2:
			claim, values = pick(g, "repository_owner_id", "workflow"), []string{"1700000000", "2026-11-20T00:00:00Z", "2026-12-01", "arn:aws:*:*:*:*", "arn:aws:iam::123456789012:role/*", "arn:*:role/a:b"}
		case 3:
			claim, values = pick(g, "environment", "event_name", "REPOSITORY"), []string{"prod", "push", "acme/*", "acme/app", "true", "false"}
		}
		if g.variables && g.IntN(4) == 0 {
			values = []string{"repo:${" + issuer + ":repository}:pull_request", "repo:acme/ap${*}:pull_request", "${" + issuer + ":environment, 'prod'}", "${" + issuer + ":event_name}", "a${$}b", "repo:acme/app:environment:${" + issuer + ":environment}"}
		}
		keys[pick(g, issuer, issuer, issuer, "gitlab.com")+":"+claim] = pick[any](g, g.some(values...), pick(g, values...))
	}
	if pick(g, true, false, false) {
		operator += "IfExists"
	}
	return operator, keys
}

// question makes a policy of one to three statements on the given operators, and a token.
func (g generator) question(operators []string) question {
	statements := []any{}
	for range 1 + g.IntN(3) {
		s := map[string]any{
			"Effect": pick(g, "Allow", "Allow", "Allow", "Deny"),
			"Principal": pick[any](g, map[string]any{"Federated": arn}, map[string]any{"Federated": arn}, map[string]any{"Federated": []string{"x", arn}}, "*",
				map[string]any{"AWS": "123456789012"}, map[string]any{"Federated": "arn:aws:iam::210987654321:oidc-provider/" + issuer}),
			"Action": pick[any](g, "sts:AssumeRoleWithWebIdentity", "sts:*", []string{"sts:TagSession", "STS:AssumeRoleWith*"}, "sts:AssumeRole"),
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
	return question{map[string]any{"Version": "2012-10-17", "Statement": statements}, g.claims()}
}
