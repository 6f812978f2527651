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
	arnFormat  = "arn:aws:iam::ACCOUNT:role/NAME"
	nameFormat = "the name of a role in the registry's account"
)

// isRoleARN reports whether text is the ARN of an IAM role (AWS service authorization reference).
func isRoleARN(text string) bool {
	_, ok := partitionOf(text)
	return ok && len(text) <= 2048
}

// isRoleName reports whether text is the name of an IAM role, with or without a path (IAM quotas).
func isRoleName(text string) bool {
	for label := range strings.SplitSeq(text, "/") {
		if !onlyChars(label, "_+=.@-") {
			return false
		}
	}
	return len(text) <= 512
}

// partitionOf returns the partition of a role's ARN. It returns false if text is not a role's ARN.
func partitionOf(text string) (partition string, ok bool) {
	part := strings.SplitN(text, ":", 6)
	if len(part) < 6 || part[0] != "arn" || part[2] != "iam" || part[3] != "" ||
		!isAccount(part[4]) {
		return "", false
	}
	role, isRole := strings.CutPrefix(part[5], "role/")
	suffix, isAWS := strings.CutPrefix(part[1], "aws")
	invalid := func(r rune) bool { return r != '-' && (r < 'a' || 'z' < r) }
	return part[1], isRole && isAWS && onlyChars(role, "_+=,.@/-") &&
		!strings.ContainsFunc(suffix, invalid)
}

// onlyChars reports whether text is not empty and consists of letters, digits and the extra
// characters. It is not a regular expression, because every get would have to compile it.
func onlyChars(text, extra string) bool {
	return text != "" && !strings.ContainsFunc(text,
		func(r rune) bool { return !isAlphanumeric(r) && !strings.ContainsRune(extra, r) })
}

func isAlphanumeric(r rune) bool {
	return 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9'
}

// isAccount reports whether text is an account number.
func isAccount(text string) bool {
	notDigit := func(r rune) bool { return r < '0' || '9' < r }
	return len(text) == 12 && !strings.ContainsFunc(text, notDigit)
}

// pairUse determines whether AWS_ROLE_ARN counts if AWS_WEB_IDENTITY_TOKEN_FILE is also set. The two
// are a pair: the role is for the token in that file, and not for the token of another source.
type pairUse bool

const (
	ignorePair pairUse = false
	usePair    pairUse = true
)

// roles returns the role chain for a registry. The ECR_OIDC_* variables and the file override the
// standard variables. The public registry uses only a role that is set for it. Without that role,
// access to it is anonymous, because a pull needs no login and a login can fail.
func (c Config) roles(reg registry.Registry, l layers, pair pairUse) RoleChain {
	value, at := l.lookup("role")
	var r RoleChain
	switch {
	case at >= levelAccount, at != levelUnset && !reg.Public:
		r = resolveChain(value, reg)
	case !reg.Public:
		r = c.standardRole(reg, pair)
	}
	if r.Err == nil {
		r.Err = l.checkSession(r.ARNs, reg)
	}
	return r
}

// standardRole returns the role of ECR_ROLE_TO_ASSUME or AWS_ROLE_ARN. Neither overrides the other.
// It is an error if both count and differ.
func (c Config) standardRole(reg registry.Registry, pair pairUse) RoleChain {
	ecrRole, awsRole := c.env.Get("ECR_ROLE_TO_ASSUME"), c.env.Get("AWS_ROLE_ARN")
	if c.env.Get("AWS_WEB_IDENTITY_TOKEN_FILE") != "" && pair == ignorePair {
		awsRole = ""
	}
	if ecrRole != "" && awsRole != "" && ecrRole != awsRole {
		return RoleChain{Err: fmt.Errorf("ECR_ROLE_TO_ASSUME is %q, but AWS_ROLE_ARN is %q; "+
			"unset one of them, or set ECR_OIDC_ROLE to the role to assume",
			safetext.Sanitize(ecrRole), safetext.Sanitize(awsRole))}
	}
	name, text := "ECR_ROLE_TO_ASSUME", ecrRole
	if ecrRole == "" {
		name, text = "AWS_ROLE_ARN", awsRole
	}
	switch {
	case text == "":
		return RoleChain{}
	case !isRoleARN(text):
		return RoleChain{Err: notRoleARN(name, text)}
	}
	return resolveChain(Value{Texts: []string{text}, From: name}, reg)
}

// notRoleARN returns the error for a value that must be a role's ARN and is not.
func notRoleARN(from, text string) error {
	return fmt.Errorf("%s has %q, which is not a role; it must be %s", from,
		safetext.Sanitize(text), arnFormat)
}

// checkSession returns an error if the session policy or the session duration is not valid for these
// roles.
func (l layers) checkSession(arns []string, reg registry.Registry) error {
	policy, at := l.lookup("session_policy")
	// The policy is for all registries. Access to the public registry may be anonymous.
	notForPublic := reg.Public && at < levelAccount
	if at != levelUnset && len(arns) == 0 && !notForPublic {
		const format = "%s sets a session policy, which requires a role, but no role is set"
		return fmt.Errorf(format, policy.From)
	}
	duration, at := l.lookup("session_duration")
	if at != levelUnset && len(arns) > 1 && parseDuration(duration.Texts[0]) > time.Hour {
		const format = "%s sets a session duration of %s, but AWS limits a role chain to 1 hour"
		return fmt.Errorf(format, duration.From, duration.Texts[0])
	}
	return nil
}

// splitChain splits the value of a role variable at its commas.
func splitChain(text string) []string {
	texts := strings.Split(text, ",")
	for i, role := range texts {
		texts[i] = strings.TrimSpace(role)
	}
	return texts
}

// FirstBareRole returns the first bare name in a role chain, or "" if there is none. A bare name is
// the name of a role in the registry's own account.
func FirstBareRole(chain []string) string {
	if i := slices.IndexFunc(chain, isRoleName); i >= 0 {
		return chain[i]
	}
	return ""
}

// DefaultBareRole returns the first bare name in a role chain for all accounts, or "" if there is
// none. It looks at ECR_OIDC_ROLE, then at the default of the file at path, even if the variable
// overrides the default. from is the variable or the
// line that sets the chain. limited reports whether the file has allowed_account_ids. A missing file
// is not an error.
func DefaultBareRole(env token.Env, path string) (role, from string, limited bool, err error) {
	f, err := readOptional(path)
	if err != nil {
		return "", "", false, err
	}
	if role = FirstBareRole(splitChain(env.Get("ECR_OIDC_ROLE"))); role != "" {
		return role, "ECR_OIDC_ROLE", f.Allowed != nil, nil
	}
	value := f.Default["role"]
	return FirstBareRole(value.Texts), value.From, f.Allowed != nil, nil
}

// resolveChain returns the ARN of each role of a chain. A bare name is a role in the registry's own
// account and partition.
func resolveChain(value Value, reg registry.Registry) RoleChain {
	r := RoleChain{From: value.From}
	for _, text := range value.Texts {
		partition, isARN := partitionOf(text)
		switch {
		case isARN && partition != reg.Partition:
			return RoleChain{Err: fmt.Errorf(
				"%s has a role in partition %q, but registry %s is in partition %q",
				value.From, partition, reg.Host, reg.Partition)}
		case isARN:
			r.ARNs = append(r.ARNs, text)
		case reg.Public:
			return RoleChain{Err: notRoleARN(value.From, text)}
		case isRoleName(text):
			arn := fmt.Sprintf("arn:%s:iam::%s:role/%s", reg.Partition, reg.Account, text)
			r.ARNs = append(r.ARNs, arn)
		default:
			err := check("role", []string{text}, quoteAny)
			return RoleChain{Err: fmt.Errorf("%s %w", value.From, err)}
		}
	}
	return r
}
