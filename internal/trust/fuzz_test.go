package trust_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/trust"
)

// Whatever is pasted, Parse returns, and what it returns can be evaluated.
func FuzzParse(f *testing.F) {
	trust.EachCase(func(_, policy string, _ map[string]any) { f.Add(policy) })
	f.Add(`{"Role": {"AssumeRolePolicyDocument": "%7B%7D"}}`)
	f.Add(`"\"{}\""`)
	f.Fuzz(func(t *testing.T, text string) {
		p, err := trust.Parse([]byte(text))
		if err != nil {
			if strings.ContainsAny(err.Error(), "\n\x1b") {
				t.Errorf("%q", err)
			}
			return
		}
		if len(p.Statements) == 0 {
			t.Error("a policy without statements")
		}
		if _, err := trust.Evaluate(p, trust.Request{Role: role, Claims: map[string]any{"iss": "https://" + issuer, "sub": text, "aud": "x"}}); err != nil {
			t.Error(err)
		}
	})
}

// Whatever the values are, an answer is given, and one that hangs on an unknown is never "admitted": a condition that
// cannot be evaluated, put into every Allow, leaves none.
func FuzzEvaluate(f *testing.F) {
	f.Add(uint64(1), "repo:acme/*", "repo:acme/app:pull_request", "StringLike")
	f.Add(uint64(2), "${"+issuer+":sub, 'x'}", "x", "ForAllValues:StringNotLikeIfExists")
	f.Add(uint64(3), "arn:*:*::*:*", "arn:aws:iam::1:x", "ForAnyValue:ArnLike")
	f.Add(uint64(4), "2026-01", "1e400", "DateLessThanEquals")
	f.Fuzz(func(t *testing.T, seed uint64, want, got, operator string) {
		if len(want)+len(got)+len(operator) > 4000 || !utf8.ValidString(got) { // claims come out of JSON
			return
		}
		q := generator{Rand: rand.New(rand.NewPCG(seed, 2)), variables: true}.question([]string{"StringEquals", "StringLike", "StringNotLike", operator})
		q.Claims["sub"] = got
		q.Claims["repository"] = []any{got, want}
		statements := q.Policy["Statement"].([]any)
		statements = append(statements, map[string]any{"Effect": "Allow", "Principal": map[string]any{"Federated": arn}, "Action": "sts:*",
			"Condition": map[string]any{operator: map[string]any{issuer + ":sub": want, issuer + ":repository": []string{want, got}}}})
		q.Policy["Statement"] = statements
		if !json.Valid([]byte(q.policy())) {
			return
		}
		p, err := trust.Parse([]byte(q.policy()))
		if err != nil {
			return // an operator that is there twice
		}
		r := trust.Request{Role: role, Claims: q.Claims}
		v, err := trust.Evaluate(p, r)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := json.Marshal(v); err != nil || strings.ContainsAny(v.String(), "\x1b\r\u202e") {
			t.Errorf("%v\n%q", err, v.String())
		}
		for _, s := range statements {
			s := s.(map[string]any)
			if s["Effect"] == "Allow" {
				s["Condition"] = map[string]any{"IpAddress": map[string]any{"aws:SourceIp": "10.0.0.0/8"}}
			}
		}
		if p, err = trust.Parse([]byte(q.policy())); err != nil {
			t.Fatal(err)
		}
		if v, err := trust.Evaluate(p, r); err != nil || v.Admits == trust.Yes {
			t.Errorf("an unknown admits: %v\n%s\n%s", err, q.policy(), v)
		}
		if s, err := trust.MinimalPolicy(r); err == nil {
			if p, err = trust.Parse([]byte(s.Policy)); err != nil {
				t.Fatal(err)
			}
			if v, err := trust.Evaluate(p, r); err != nil || v.Admits != trust.Yes {
				t.Errorf("what is suggested does not admit: %v\n%s\n%s", err, s.Policy, v)
			}
		}
	})
}

// A condition becomes unknown, and the answer can only become unknown or stay: it never turns from no to yes or back.
func TestUnknownOnlyHides(t *testing.T) {
	operators := []string{"StringEquals", "StringNotEquals", "StringLike", "StringNotLike"}
	changed := 0
	for seed := range uint64(1000) {
		q := generator{Rand: rand.New(rand.NewPCG(seed, 3))}.question(operators)
		before := admits(t, q.policy(), q.Claims)
		for _, s := range q.Policy["Statement"].([]any) {
			if s := s.(map[string]any); s["Condition"] != nil {
				for _, keys := range s["Condition"].(map[string]any) {
					keys := keys.(map[string]any)
					first := slices.Min(slices.Collect(maps.Keys(keys)))
					keys["aws:SourceVpc"] = keys[first]
					delete(keys, first)
				}
			}
		}
		after := admits(t, q.policy(), q.Claims)
		if after.Admits == before.Admits {
			continue
		}
		if changed++; after.Admits != trust.Unknown {
			t.Fatalf("seed %d: from %v to\n%s\n%s", seed, before, after, q.policy())
		}
	}
	if changed < 100 {
		t.Errorf("only %d answers changed", changed)
	}
}

// Whoever would be admitted though he is a stranger, the findings name the danger. A stranger is another owner, whose
// names and contexts are what he likes.
func TestStrangersAreFound(t *testing.T) {
	if testing.Short() {
		t.Skip("evaluates many generated policies (-short)")
	}
	strangers := []string{"evil", "acme-evil", "acmeX", "x-acme"}
	dangers := []trust.Kind{trust.NoSubject, trust.AnySubject, trust.OwnerPrefix, trust.AnyPrincipal}
	pieces := []string{"repo:", "acme", "acme", "/", "/", "app", ":", ":", "ref:refs/heads/main", "pull_request", "*", "*", "?", "@1", "@2", "repository_owner:", "environment:prod", ":job_workflow_ref:acme/ci/x.yml@main"}
	found, safe := 0, 0
	for seed := range uint64(1000) {
		g := generator{Rand: rand.New(rand.NewPCG(seed, 4))}
		sub := ""
		for range 1 + g.IntN(8) {
			sub += pick(g, pieces...)
		}
		operator := pick(g, "StringLike", "StringLike", "StringEquals", "StringNotLike", "ForAllValues:StringLike")
		policy := fmt.Sprintf(`{"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Principal": {"Federated": %q}, "Action": "sts:AssumeRoleWithWebIdentity", "Condition": {%q: {"%s:sub": %q}%s}}}`, arn, operator, issuer, sub,
			pick(g, "", "", fmt.Sprintf(`, "StringLikeIfExists": {"%s:repository": %q}`, issuer, pick(g, "acme/app", "acme*", "*/app")), fmt.Sprintf(`, "ForAnyValue:StringLike": {"%s:repository": %q}`, issuer, pick(g, "acme/app", "acme/*", "acme*", "*/app", "?cme/app"))))
		p, err := trust.Parse([]byte(policy))
		if err != nil {
			t.Fatal(err)
		}
		admitted := ""
		var v trust.Verdict
		for _, owner := range strangers {
			for _, subject := range []string{"repo:%s/app:ref:refs/heads/main", "repo:%s@7/app@8:pull_request", "repo:%s/acme:environment:prod", "repository_owner:%s:environment:prod", "environment:prod", "pull_request",
				"repo:%s/app:environment:repo", "repo:%s/x:ref:refs/heads/acme/app"} {
				if strings.Contains(subject, "%s") {
					subject = fmt.Sprintf(subject, owner)
				}
				if v, _ = trust.Evaluate(p, trust.Request{Role: role, Claims: map[string]any{"iss": "https://" + issuer, "aud": "x", "sub": subject, "repository": owner + "/app"}}); v.Admits == trust.Yes {
					admitted = subject
				}
			}
		}
		named := false
		for _, f := range v.Findings {
			for _, kind := range dangers {
				named = named || f.Kind == kind
			}
		}
		switch {
		case admitted != "" && !named:
			t.Fatalf("seed %d: %s %s admits %s, and that is not found\n%s", seed, operator, sub, admitted, v)
		case admitted != "":
			found++
		case !named:
			safe++
		}
	}
	if found < 100 || safe < 100 {
		t.Errorf("found %d, safe %d", found, safe)
	}
}
