package config

import (
	"fmt"
	"strings"

	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/lazyregexp"
	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/oneline"
	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/registry"
	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/token"
)

// roleARN and roleName are IAM's (AWS service authorization reference; IAM quotas). A name may have a path in front.
var (
	roleARN  = lazyregexp.New(`^arn:(aws[a-z-]*):iam::([0-9]{12}):role/[\w+=,.@/-]+$`)
	roleName = lazyregexp.New(`^[\w+=.@-]+(/[\w+=.@-]+)*$`)
)

const (
	wantARN  = "arn:aws:iam::ACCOUNT:role/NAME"
	wantName = "the name of a role in the registry's account"
)

func isRoleARN(text string) bool  { return roleARN.MatchString(text) && len(text) <= 2048 }
func isRoleName(text string) bool { return roleName.MatchString(text) && len(text) <= 512 }

// roles says which roles lead to a registry, and what said so. What names the account beats what names all; ours beat
// the standard variables; of the two standard ones neither beats the other, so they must agree.
func (c Config) roles(reg registry.Registry, place token.Place) (arns []string, from string, err error) {
	if value := c.role(reg); value.set() {
		arns, err = chain(value, reg)
		return arns, value.From, err
	}
	if reg.Public { // without a role of its own it is left anonymous: it can be, and a login can only make it fail
		return nil, "", nil
	}
	var found []Value
	for _, name := range []string{"ECR_ROLE_TO_ASSUME", "AWS_ROLE_ARN"} {
		// AWS_ROLE_ARN beside a web-identity file belongs to that file, and means nothing to any other source.
		if name == "AWS_ROLE_ARN" && c.env.Get("AWS_WEB_IDENTITY_TOKEN_FILE") != "" && !place.Pair {
			continue
		}
		if text := c.env.Get(name); text != "" {
			found = append(found, Value{Texts: []string{text}, From: name})
		}
	}
	switch {
	case len(found) == 0:
		return nil, "", nil
	case len(found) == 2 && found[0].Texts[0] != found[1].Texts[0]:
		return nil, "", fmt.Errorf("ECR_ROLE_TO_ASSUME is %q and AWS_ROLE_ARN is %q: unset one of them, or say which one with ECR_OIDC_ROLE", oneline.Clean(found[0].Texts[0]), oneline.Clean(found[1].Texts[0]))
	case !isRoleARN(found[0].Texts[0]):
		return nil, "", fmt.Errorf("%s has %q, which is not a role; it must be %s", found[0].From, oneline.Clean(found[0].Texts[0]), wantARN)
	}
	arns, err = chain(found[0], reg)
	return arns, found[0].From, err
}

// role finds our own setting of the role. A variable for one account goes before the file's entry for it, and splits
// at commas, as ECR_OIDC_ROLE does.
func (c Config) role(reg registry.Registry) Value {
	narrow := "ECR_OIDC_ROLE_" + reg.Account
	if reg.Public {
		narrow = "ECR_OIDC_ROLE_PUBLIC"
	}
	if text := c.env.Get(narrow); text != "" {
		return Value{Texts: links(text), From: narrow}
	}
	value, by := c.setting(reg, "role", "ECR_OIDC_ROLE")
	switch {
	case reg.Public && by < byAccount: // what names all accounts' roles does not name the public registry's
		return Value{}
	case by == byVariable:
		value.Texts = links(value.Texts[0])
	}
	return value
}

func links(text string) []string {
	texts := strings.Split(text, ",")
	for i, link := range texts {
		texts[i] = strings.TrimSpace(link)
	}
	return texts
}

// chain turns each link into an ARN: the first is assumed by web identity, each other one from the one before. A bare
// name is that role in the registry's own account and partition.
func chain(value Value, reg registry.Registry) ([]string, error) {
	var arns []string
	for _, text := range value.Texts {
		m := roleARN.FindStringSubmatch(text)
		switch {
		case m != nil && m[1] != reg.Partition:
			return nil, fmt.Errorf("%s has a role in partition %q, and registry %s is in %q", value.From, m[1], reg.Host, reg.Partition)
		case m != nil:
			arns = append(arns, text)
		case reg.Public:
			return nil, fmt.Errorf("%s has %q, which is not a role; it must be %s", value.From, oneline.Clean(text), wantARN)
		case isRoleName(text):
			arns = append(arns, fmt.Sprintf("arn:%s:iam::%s:role/%s", reg.Partition, reg.Account, text))
		default:
			return nil, fmt.Errorf("%s %w", value.From, check("role", []string{text}))
		}
	}
	return arns, nil
}
