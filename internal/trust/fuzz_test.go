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

// FuzzParse checks that Parse returns for any input, and that Evaluate accepts every policy that it
// returns.
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
		claims := map[string]any{"iss": "https://" + issuer, "sub": text, "aud": "x"}
		if _, err := trust.Evaluate(p, trust.Request{Role: role, Claims: claims}); err != nil {
			t.Error(err)
		}
	})
}

// FuzzEvaluate checks that Evaluate returns for any values, that a result that depends on an
// Unknown is never Yes, and that a minimal policy admits its job.
func FuzzEvaluate(f *testing.F) {
	f.Add(uint64(1), "repo:acme/*", "repo:acme/app:pull_request", "StringLike")
	f.Add(uint64(2), "${"+issuer+":sub, 'x'}", "x", "ForAllValues:StringNotLikeIfExists")
	f.Add(uint64(3), "arn:*:*::*:*", "arn:aws:iam::1:x", "ForAnyValue:ArnLike")
	f.Add(uint64(4), "2026-01", "1e400", "DateLessThanEquals")
	f.Fuzz(func(t *testing.T, seed uint64, want, got, operator string) {
		if len(want)+len(got)+len(operator) > 4000 || !utf8.ValidString(got) {
			return // claims are decoded from JSON, so they are valid UTF-8
		}
		s, statements := fuzzSample(seed, want, got, operator)
		if !json.Valid([]byte(s.policy())) {
			return
		}
		p, err := trust.Parse([]byte(s.policy()))
		if err != nil {
			return // a duplicate operator
		}
		r := trust.Request{Role: role, Claims: s.Claims}
		v, err := trust.Evaluate(p, r)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := json.Marshal(v); err != nil ||
			strings.ContainsAny(v.String(), "\x1b\r\u202e") {
			t.Errorf("%v\n%q", err, v.String())
		}
		for _, statement := range statements {
			if statement := statement.(map[string]any); statement["Effect"] == "Allow" {
				unknown := map[string]any{"aws:SourceIp": "10.0.0.0/8"}
				statement["Condition"] = map[string]any{"IpAddress": unknown}
			}
		}
		if p, err = trust.Parse([]byte(s.policy())); err != nil {
			t.Fatal(err)
		}
		if v, err := trust.Evaluate(p, r); err != nil || v.Admits == trust.Yes {
			t.Errorf("an Unknown admits: %v\n%s\n%s", err, s.policy(), v)
		}
		suggestion, err := trust.MinimalPolicy(r)
		if err != nil {
			return
		}
		if p, err = trust.Parse([]byte(suggestion.Policy)); err != nil {
			t.Fatal(err)
		}
		if v, err := trust.Evaluate(p, r); err != nil || v.Admits != trust.Yes {
			t.Errorf("the minimal policy does not admit: %v\n%s\n%s", err, suggestion.Policy, v)
		}
	})
}

// fuzzSample returns a generated sample with an additional statement on the given values, and the
// statements of its policy.
func fuzzSample(seed uint64, want, got, operator string) (sample, []any) {
	g := generator{Rand: rand.New(rand.NewPCG(seed, 2)), variables: true}
	s := g.sample([]string{"StringEquals", "StringLike", "StringNotLike", operator})
	s.Claims["sub"] = got
	s.Claims["repository"] = []any{got, want}
	keys := map[string]any{issuer + ":sub": want, issuer + ":repository": []string{want, got}}
	statements := append(s.Policy["Statement"].([]any), map[string]any{
		"Effect":    "Allow",
		"Principal": map[string]any{"Federated": arn},
		"Action":    "sts:*",
		"Condition": map[string]any{operator: keys},
	})
	s.Policy["Statement"] = statements
	return s, statements
}

// TestUnknownCondition checks that a condition that becomes Unknown leaves the result of the
// policy as it is or makes it Unknown.
func TestUnknownCondition(t *testing.T) {
	operators := []string{"StringEquals", "StringNotEquals", "StringLike", "StringNotLike"}
	changed := 0
	for seed := range uint64(1000) {
		s := generator{Rand: rand.New(rand.NewPCG(seed, 3))}.sample(operators)
		before := evaluate(t, s.policy(), s.Claims)
		for _, statement := range s.Policy["Statement"].([]any) {
			condition, _ := statement.(map[string]any)["Condition"].(map[string]any)
			for _, keys := range condition {
				keys := keys.(map[string]any)
				first := slices.Min(slices.Collect(maps.Keys(keys)))
				keys["aws:SourceVpc"] = keys[first]
				delete(keys, first)
			}
		}
		after := evaluate(t, s.policy(), s.Claims)
		if after.Admits == before.Admits {
			continue
		}
		if changed++; after.Admits != trust.Unknown {
			t.Fatalf("seed %d: from %v to\n%s\n%s", seed, before, after, s.policy())
		}
	}
	if changed < 100 {
		t.Errorf("only %d results changed", changed)
	}
}

// TestOverbroadPolicies checks that every policy that admits a job of another owner has a finding
// that reports it.
func TestOverbroadPolicies(t *testing.T) {
	if testing.Short() {
		t.Skip("evaluates many generated policies (-short)")
	}
	found, safe := 0, 0
	for seed := range uint64(1000) {
		policy := overbroadPolicy(generator{Rand: rand.New(rand.NewPCG(seed, 4))})
		p, err := trust.Parse([]byte(policy))
		if err != nil {
			t.Fatal(err)
		}
		admitted, v := otherOwner(p)
		reported := slices.ContainsFunc(v.Findings, func(f trust.Finding) bool {
			return slices.Contains([]trust.Kind{
				trust.NoSubject, trust.AnySubject, trust.OwnerPrefix, trust.AnyPrincipal,
			}, f.Kind)
		})
		switch {
		case admitted != "" && !reported:
			t.Fatalf("seed %d: no finding reports that %s admits %s\n%s",
				seed, policy, admitted, v)
		case admitted != "":
			found++
		case !reported:
			safe++
		}
	}
	if found < 100 || safe < 100 {
		t.Errorf("found %d, safe %d", found, safe)
	}
}

// overbroadPolicy returns a policy with a random pattern for the subjects of the owner acme.
func overbroadPolicy(g generator) string {
	sub := ""
	for range 1 + g.IntN(8) {
		sub += pick(g, "repo:", "acme", "acme", "/", "/", "app", ":", ":",
			"ref:refs/heads/main", "pull_request", "*", "*", "?", "@1", "@2",
			"repository_owner:", "environment:prod", ":job_workflow_ref:acme/ci/x.yml@main")
	}
	operator := pick(g, "StringLike", "StringLike", "StringEquals", "StringNotLike",
		"ForAllValues:StringLike")
	repository := func(operator string, values ...string) string {
		return fmt.Sprintf(`, %q: {"%s:repository": %q}`, operator, issuer, pick(g, values...))
	}
	return fmt.Sprintf(`{"Version": "2012-10-17", "Statement": {"Effect": "Allow",
		"Principal": {"Federated": %q}, "Action": "sts:AssumeRoleWithWebIdentity",
		"Condition": {%q: {"%s:sub": %q}%s}}}`, arn, operator, issuer, sub, pick(g,
		"",
		"",
		repository("StringLikeIfExists", "acme/app", "acme*", "*/app"),
		repository("ForAnyValue:StringLike",
			"acme/app", "acme/*", "acme*", "*/app", "?cme/app")))
}

// otherOwner returns a subject of another owner that the policy admits, or "". It also returns the
// verdict for the last subject.
func otherOwner(p trust.Policy) (admitted string, v trust.Verdict) {
	for _, owner := range []string{"evil", "acme-evil", "acmeX", "x-acme"} {
		for _, subject := range []string{
			"repo:" + owner + "/app:ref:refs/heads/main",
			"repo:" + owner + "@7/app@8:pull_request",
			"repo:" + owner + "/acme:environment:prod",
			"repository_owner:" + owner + ":environment:prod",
			"environment:prod",
			"pull_request",
			"repo:" + owner + "/app:environment:repo",
			"repo:" + owner + "/x:ref:refs/heads/acme/app",
		} {
			claims := map[string]any{"iss": "https://" + issuer, "aud": "x", "sub": subject,
				"repository": owner + "/app"}
			v, _ = trust.Evaluate(p, trust.Request{Role: role, Claims: claims})
			if v.Admits == trust.Yes {
				admitted = subject
			}
		}
	}
	return admitted, v
}
