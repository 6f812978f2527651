package config

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/oneline"
	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/registry"
	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/token"
)

const (
	wantARN  = "arn:aws:iam::ACCOUNT:role/NAME"
	wantName = "the name of a role in the registry's account"
)

// isRoleARN and isRoleName are IAM's (AWS service authorization reference; IAM quotas). A name may have a path in front.
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

// made says whether a text is made of letters, digits and some others, and is not empty. It is no regular expression,
// because every get comes here, and would have to compile it.
func made(text, others string) bool {
	return text != "" && !strings.ContainsFunc(text, func(r rune) bool { return !alphanumeric(r) && !strings.ContainsRune(others, r) })
}

func alphanumeric(r rune) bool {
	return 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9'
}

func isAccount(text string) bool {
	return len(text) == 12 && !strings.ContainsFunc(text, func(r rune) bool { return r < '0' || '9' < r })
}

// roles returns the roles for a registry. What names the account goes before what names all; ours go before the standard
// variables; of the two standard ones neither goes before the other, so they must agree. With pair, the token is
// AWS_WEB_IDENTITY_TOKEN_FILE's.
func (c Config) roles(reg registry.Registry, pair bool) Roles {
	if value := c.role(reg); value.set() {
		return chain(value, reg)
	}
	if reg.Public { // without a role of its own access is anonymous: a login could only make it fail
		return Roles{}
	}
	var found []Value
	for _, name := range []string{"ECR_ROLE_TO_ASSUME", "AWS_ROLE_ARN"} {
		// AWS_ROLE_ARN beside a web-identity file belongs to that file, and means nothing to any other source.
		if name == "AWS_ROLE_ARN" && c.env.Get("AWS_WEB_IDENTITY_TOKEN_FILE") != "" && !pair {
			continue
		}
		if text := c.env.Get(name); text != "" {
			found = append(found, Value{Texts: []string{text}, From: name})
		}
	}
	switch {
	case len(found) == 0:
		return Roles{}
	case len(found) == 2 && found[0].Texts[0] != found[1].Texts[0]:
		return Roles{Err: fmt.Errorf("ECR_ROLE_TO_ASSUME is %q and AWS_ROLE_ARN is %q: unset one of them, or say which one with ECR_OIDC_ROLE", oneline.Clean(found[0].Texts[0]), oneline.Clean(found[1].Texts[0]))}
	case !isRoleARN(found[0].Texts[0]):
		return Roles{Err: fmt.Errorf("%s has %q, which is not a role; it must be %s", found[0].From, oneline.Clean(found[0].Texts[0]), wantARN)}
	}
	return chain(found[0], reg)
}

// check records what is wrong with a setting for these roles. by tells how the setting was named.
func (r *Roles) check(key string, value Value, by level, reg registry.Registry) {
	switch {
	case r.Err != nil:
	case key == "session_policy" && len(r.ARNs) == 0 && (!reg.Public || by >= byAccount): // else it is anonymous, and was not meant
		r.Err = fmt.Errorf("%s sets a session policy, which needs a role, and none is set", value.From)
	case key == "session_duration" && len(r.ARNs) > 1 && duration(value.Texts[0]) > time.Hour:
		r.Err = fmt.Errorf("%s asks for %s, and AWS gives roles that are reached from another role an hour at most", value.From, value.Texts[0])
	}
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

// BareRole returns the first role of a chain that is named without an account, which means that role
// in the registry's own account; "" when there is none.
func BareRole(chain []string) string {
	if i := slices.IndexFunc(chain, isRoleName); i >= 0 {
		return chain[i]
	}
	return ""
}

// RoleOfAnyAccount returns the role that ECR_OIDC_ROLE, or else the default of the file at path, names
// without an account, where it is set, and whether the file limits the accounts to a list. role is ""
// when there is none. A missing file sets nothing.
func RoleOfAnyAccount(env token.Env, path string) (role, from string, limited bool, err error) {
	f, err := readAt(path)
	if err != nil {
		return "", "", false, err
	}
	if role = BareRole(links(env.Get("ECR_OIDC_ROLE"))); role != "" {
		return role, "ECR_OIDC_ROLE", f.Allowed != nil, nil
	}
	value := f.Default["role"]
	return BareRole(value.Texts), value.From, f.Allowed != nil, nil
}

// chain returns the ARN of each role in a value. A bare name is that role in the registry's own account and partition.
func chain(value Value, reg registry.Registry) Roles {
	r := Roles{From: value.From}
	for _, text := range value.Texts {
		partition, isARN := partitionOf(text)
		switch {
		case isARN && partition != reg.Partition:
			return Roles{Err: fmt.Errorf("%s has a role in partition %q, and registry %s is in %q", value.From, partition, reg.Host, reg.Partition)}
		case isARN:
			r.ARNs = append(r.ARNs, text)
		case reg.Public:
			return Roles{Err: fmt.Errorf("%s has %q, which is not a role; it must be %s", value.From, oneline.Clean(text), wantARN)}
		case isRoleName(text):
			r.ARNs = append(r.ARNs, fmt.Sprintf("arn:%s:iam::%s:role/%s", reg.Partition, reg.Account, text))
		default:
			return Roles{Err: fmt.Errorf("%s %w", value.From, check("role", []string{text}, quoted))}
		}
	}
	return r
}
