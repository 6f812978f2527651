package emulator

import (
	"fmt"
	"testing"
)

func TestConditions(t *testing.T) {
	const main = "repo:acme/app:ref:refs/heads/main"
	for _, tt := range []struct {
		condition string
		want      bool
	}{
		{`{}`, true},
		{`{"StringEquals": {"i:sub": "repo:acme/app:ref:refs/heads/main"}}`, true},
		{`{"StringEquals": {"I:SUB": "repo:acme/app:ref:refs/heads/main"}}`, true},
		{`{"StringEquals": {"i:sub": "repo:ACME/app:ref:refs/heads/main"}}`, false},
		{`{"StringEqualsIgnoreCase": {"i:sub": "repo:ACME/app:ref:refs/heads/main"}}`, true},
		{`{"StringEquals": {"i:sub": ["other", "repo:acme/app:ref:refs/heads/main"]}}`, true},
		{`{"StringEquals": {"i:sub": "repo:acme/*"}}`, false},
		{`{"StringLike": {"i:sub": "repo:acme/*"}}`, true},
		{`{"StringLike": {"i:sub": "repo:acme/ap?:*"}}`, true},
		{`{"StringLike": {"i:sub": "repo:acme/"}}`, false},
		{`{"StringLike": {"i:sub": "repo.acme/*"}}`, false},
		{`{"StringNotEquals": {"i:sub": "other"}}`, true},
		{`{"StringNotLike": {"i:sub": ["x*", "repo:*"]}}`, false},
		{`{"StringEquals": {"i:nothing": "x"}}`, false},
		{`{"StringEqualsIfExists": {"i:nothing": "x"}}`, true},
		{`{"StringNotEquals": {"i:nothing": "x"}}`, true},
		{`{"StringEquals": {"i:sub": "repo:acme/app:ref:refs/heads/main", "i:aud": "x"}}`, false},
		{`{"StringEquals": {"i:sub": "repo:acme/app:ref:refs/heads/main"}, "StringLike": {"i:aud": "st*"}}`, true},
		{`{"ForAnyValue:StringEquals": {"i:many": ["b", "z"]}}`, true},
		{`{"ForAllValues:StringEquals": {"i:many": ["b", "z"]}}`, false},
		{`{"ForAllValues:StringLike": {"i:many": ["a", "b*"]}}`, true},
		{`{"ForAllValues:StringEquals": {"i:nothing": "x"}}`, true},
		{`{"ForAnyValue:StringEquals": {"i:nothing": "x"}}`, false},
	} {
		p, err := parsePolicy(fmt.Sprintf(`{"Statement": {
			"Effect": "Allow",
			"Principal": {"Federated": "i"},
			"Action": "sts:AssumeRoleWith*",
			"Condition": %s
		}}`, tt.condition))
		if err != nil {
			t.Fatal(err)
		}
		got := p.allows(policyRequest{action: "sts:AssumeRoleWithWebIdentity",
			principals: map[string][]string{"Federated": {"i"}},
			context:    map[string][]string{"i:sub": {main}, "i:aud": {"sts"}, "i:many": {"a", "b"}}})
		if got != tt.want {
			t.Errorf("%s: %v, want %v", tt.condition, got, tt.want)
		}
	}
}

func TestStatements(t *testing.T) {
	for _, tt := range []struct {
		statements string
		want       bool
	}{
		{`[]`, false},
		{`{"Effect": "Allow", "Principal": {"AWS": "me"}, "Action": "sts:AssumeRole"}`, true},
		{`{"Effect": "Allow", "Principal": {"AWS": ["you", "root"]}, "Action": ["x", "STS:assumerole"]}`,
			true},
		{`{"Effect": "Allow", "Principal": "*", "Action": "*"}`, true},
		{`{"Effect": "Allow", "Principal": {"AWS": "you"}, "Action": "*"}`, false},
		{`{"Effect": "Allow", "Principal": {"Federated": "me"}, "Action": "*"}`, false},
		{`{"Effect": "Allow", "Action": "*"}`, false},
		{`{"Effect": "Allow", "Principal": "*", "Action": "sts:AssumeRoleWithWebIdentity"}`, false},
		{`[{"Effect": "Allow", "Principal": "*", "Action": "*"},
			{"Effect": "Deny", "Principal": {"AWS": "me"}, "Action": "sts:*"}]`,
			false},
		{`[{"Effect": "Allow", "Principal": "*", "Action": "*"},
			{"Effect": "Deny", "Principal": {"AWS": "you"}, "Action": "sts:*"}]`,
			true},
	} {
		p, err := parsePolicy(`{"Version": "2012-10-17", "Statement": ` + tt.statements + `}`)
		if err != nil {
			t.Fatal(err)
		}
		if got := p.allows(policyRequest{action: "sts:AssumeRole",
			principals: map[string][]string{"AWS": {"me", "root"}}}); got != tt.want {
			t.Errorf("%s: %v, want %v", tt.statements, got, tt.want)
		}
	}
}

func TestPolicyRefused(t *testing.T) {
	for _, text := range []string{
		`nonsense`,
		`{"Statement": {"Effect": "Maybe", "Action": "*"}}`,
		`{"Statement": {"Effect": "Allow", "NotAction": "*"}}`,
		`{"Statement": {"Effect": "Allow", "Action": "*", "Condition": {"IpAddress": {"aws:SourceIp": "10.0.0.0/8"}}}}`,
		`{"Statement": {"Effect": "Allow", "Action": "*", "Condition": {"ForSomeValues:StringEquals": {"a": "b"}}}}`,
	} {
		if _, err := parsePolicy(text); err == nil {
			t.Errorf("%s was accepted", text)
		}
	}
}
