package config

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/registry"
	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/safetext"
	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/token"
)

const (
	wantARN  = "arn:aws:iam::ACCOUNT:role/NAME"
	wantName = "the name of a role in the registry's account"
)

// isRoleARN and isRoleName are IAM's (AWS service authorization reference; IAM quotas). A name may
// have a path in front.
func isRoleARN(text string) bool {
	_, ok := partitionOf(text)
	return ok && len(text) <= 2048
}

func isRoleName(text string) bool {
	for label := range strings.SplitSeq(text, "/") {
		if !made(label, "_+=.@-") {
			return false
		}
	}
	return len(text) <= 512
}

// partitionOf reads a role's ARN.
func partitionOf(text string) (partition string, ok bool) {
	part := strings.SplitN(text, ":", 6)
	if len(part) < 6 || part[0] != "arn" || part[2] != "iam" || part[3] != "" || !isAccount(part[4]) {
		return "", false
	}
	role, isRole := strings.CutPrefix(part[5], "role/")
	further, isAWS := strings.CutPrefix(part[1], "aws")
	notIn := func(r rune) bool { return r != '-' && (r < 'a' || 'z' < r) }
	return part[1], isRole && isAWS && made(role, "_+=,.@/-") && !strings.ContainsFunc(further, notIn)
}

// made says whether a text is made of letters, digits and some others, and is not empty. It is no
// regular expression, because every get comes here, and would have to compile it.
func made(text, others string) bool {
	return text != "" && !strings.ContainsFunc(text,
		func(r rune) bool { return !alphanumeric(r) && !strings.ContainsRune(others, r) })
}

func alphanumeric(r rune) bool {
	return 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9'
}

func isAccount(text string) bool {
	return len(text) == 12 && !strings.ContainsFunc(text, func(r rune) bool { return r < '0' || '9' < r })
}

// pairUse tells whether AWS_ROLE_ARN beside AWS_WEB_IDENTITY_TOKEN_FILE counts: the token is that file's.
type pairUse bool

const (
	withoutPair pairUse = false
	withPair    pairUse = true
)

// roles returns the roles for a registry. Our own settings go before the standard variables; of the
// two standard ones neither goes before the other, so they must agree.
func (c Config) roles(reg registry.Registry, in layers, pair pairUse) RoleChain {
	value, by := in.find("role")
	var r RoleChain
	switch {
	case by >= byAccount, by != unset && !reg.Public:
		r = chain(value, reg)
	case !reg.Public: // without a role of its own its access is anonymous: a login could only make it fail
		r = c.standardRole(reg, pair)
	}
	if r.Err == nil {
		r.Err = in.checkSession(r.ARNs, reg)
	}
	return r
}

// standardRole returns the role of ECR_ROLE_TO_ASSUME or AWS_ROLE_ARN.
func (c Config) standardRole(reg registry.Registry, pair pairUse) RoleChain {
	ours, aws := c.env.Get("ECR_ROLE_TO_ASSUME"), c.env.Get("AWS_ROLE_ARN")
	if c.env.Get("AWS_WEB_IDENTITY_TOKEN_FILE") != "" && pair == withoutPair {
		aws = "" // it belongs to that file, and means nothing to any other source
	}
	if ours != "" && aws != "" && ours != aws {
		return RoleChain{Err: fmt.Errorf("ECR_ROLE_TO_ASSUME is %q and AWS_ROLE_ARN is %q: unset one of "+
			"them, or say which one with ECR_OIDC_ROLE", safetext.Sanitize(ours), safetext.Sanitize(aws))}
	}
	name, text := "ECR_ROLE_TO_ASSUME", ours
	if ours == "" {
		name, text = "AWS_ROLE_ARN", aws
	}
	switch {
	case text == "":
		return RoleChain{}
	case !isRoleARN(text):
		return RoleChain{Err: fmt.Errorf("%s has %q, which is not a role; it must be %s", name,
			safetext.Sanitize(text),
			wantARN)}
	}
	return chain(Value{Texts: []string{text}, From: name}, reg)
}

// checkSession returns an error when the settings of the role session do not fit these roles.
func (in layers) checkSession(arns []string, reg registry.Registry) error {
	if v, by := in.find("session_policy"); by != unset && len(arns) == 0 &&
		(!reg.Public || by >= byAccount) { // else it is anonymous
		return fmt.Errorf("%s sets a session policy, which needs a role, and none is set", v.From)
	}
	if v, by := in.find("session_duration"); by != unset && len(arns) > 1 &&
		duration(v.Texts[0]) > time.Hour {
		return fmt.Errorf("%s asks for %s, and AWS gives roles that are reached from another role an "+
			"hour at most", v.From, v.Texts[0])
	}
	return nil
}

func links(text string) []string {
	texts := strings.Split(text, ",")
	for i, link := range texts {
		texts[i] = strings.TrimSpace(link)
	}
	return texts
}

// FirstBareRole returns the first role of a chain that is named without an account, which means that role
// in the registry's own account; "" when there is none.
func FirstBareRole(chain []string) string {
	if i := slices.IndexFunc(chain, isRoleName); i >= 0 {
		return chain[i]
	}
	return ""
}

// DefaultBareRole returns the role that ECR_OIDC_ROLE, or else the default of the file at path, names
// without an account, where it is set, and whether the file limits the accounts to a list. role is ""
// when there is none. A missing file sets nothing.
func DefaultBareRole(env token.Env, path string) (role, from string, limited bool, err error) {
	f, err := readAt(path)
	if err != nil {
		return "", "", false, err
	}
	if role = FirstBareRole(links(env.Get("ECR_OIDC_ROLE"))); role != "" {
		return role, "ECR_OIDC_ROLE", f.Allowed != nil, nil
	}
	value := f.Default["role"]
	return FirstBareRole(value.Texts), value.From, f.Allowed != nil, nil
}

// chain returns the ARN of each role in a value. A bare name is that role in the registry's own
// account and partition.
func chain(value Value, reg registry.Registry) RoleChain {
	r := RoleChain{From: value.From}
	for _, text := range value.Texts {
		partition, isARN := partitionOf(text)
		switch {
		case isARN && partition != reg.Partition:
			return RoleChain{Err: fmt.Errorf("%s has a role in partition %q, and registry %s is in %q",
				value.From,
				partition, reg.Host, reg.Partition)}
		case isARN:
			r.ARNs = append(r.ARNs, text)
		case reg.Public:
			return RoleChain{Err: fmt.Errorf("%s has %q, which is not a role; it must be %s", value.From,
				safetext.Sanitize(text), wantARN)}
		case isRoleName(text):
			r.ARNs = append(r.ARNs, fmt.Sprintf("arn:%s:iam::%s:role/%s", reg.Partition, reg.Account, text))
		default:
			return RoleChain{Err: fmt.Errorf("%s %w", value.From, check("role", []string{text}, quoted))}
		}
	}
	return r
}
