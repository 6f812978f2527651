package config

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/registry"
	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/token"
)

// roleARN and roleName are IAM's (AWS service authorization reference; IAM quotas). A name may have a path in front.
var (
	roleARN  = regexp.MustCompile(`^arn:(aws[a-z-]*):iam::([0-9]{12}):role/([\w+=,.@/-]{1,576})$`)
	roleName = regexp.MustCompile(`^[\w+=.@-]+(/[\w+=.@-]+)*$`)
)

// roles says which roles lead to a registry, and which variable said so. Ours beat the standard ones; of the two
// standard ones neither beats the other, so they must agree.
func roles(env token.Env, reg registry.Registry, place token.Place) (arns []string, from string, err error) {
	ours := "ECR_OIDC_ROLE"
	if reg.Public { // without a role of its own it is left anonymous: it can be, and a login can only make it fail
		ours = "ECR_OIDC_ROLE_PUBLIC"
	}
	if value := env.Get(ours); value != "" {
		arns, err = chain(value, ours, reg)
		return arns, ours, err
	}
	if reg.Public {
		return nil, "", nil
	}
	type named struct{ name, value string }
	var found []named
	for _, name := range []string{"ECR_ROLE_TO_ASSUME", "AWS_ROLE_ARN"} {
		value := env.Get(name)
		// AWS_ROLE_ARN beside a web-identity file belongs to that file, and means nothing to any other source.
		if name == "AWS_ROLE_ARN" && env.Get("AWS_WEB_IDENTITY_TOKEN_FILE") != "" && !usesPair(env, place) {
			continue
		}
		if value != "" {
			found = append(found, named{name, value})
		}
	}
	switch {
	case len(found) == 0:
		return nil, "", nil
	case len(found) == 2 && found[0].value != found[1].value:
		return nil, "", fmt.Errorf("ECR_ROLE_TO_ASSUME is %q and AWS_ROLE_ARN is %q: unset one of them, or say which one with ECR_OIDC_ROLE", found[0].value, found[1].value)
	}
	arn, err := role(found[0].value, found[0].name, reg, false)
	if err != nil {
		return nil, "", err
	}
	return []string{arn}, found[0].name, nil
}

// usesPair says whether the token is AWS_WEB_IDENTITY_TOKEN_FILE, the other half of AWS_ROLE_ARN.
func usesPair(env token.Env, place token.Place) bool {
	return place.Name == "file" && env.Get("ECR_OIDC_TOKEN_FILE") == ""
}

// chain reads roles separated by commas: the first is assumed by web identity, each other one from the one before.
func chain(value, from string, reg registry.Registry) ([]string, error) {
	var arns []string
	for link := range strings.SplitSeq(value, ",") {
		arn, err := role(strings.TrimSpace(link), from, reg, true)
		if err != nil {
			return nil, err
		}
		arns = append(arns, arn)
	}
	return arns, nil
}

// role reads one role. A bare name, where it is allowed, is that role in the registry's own account and partition.
func role(value, from string, reg registry.Registry, bare bool) (string, error) {
	if m := roleARN.FindStringSubmatch(value); m != nil {
		if m[1] != reg.Partition {
			return "", fmt.Errorf("%s is a role in partition %q, and registry %s is in %q", from, m[1], reg.Host, reg.Partition)
		}
		return value, nil
	}
	if bare && !reg.Public && roleName.MatchString(value) && len(value) <= 512 {
		return fmt.Sprintf("arn:%s:iam::%s:role/%s", reg.Partition, reg.Account, value), nil
	}
	want := "arn:aws:iam::ACCOUNT:role/NAME"
	if bare && !reg.Public {
		want += " or the name of a role in the registry's account"
	}
	return "", fmt.Errorf("%s has %q, which is not a role; it must be %s", from, value, want)
}
