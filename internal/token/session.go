package token

import "strings"

// sessionNameChars are the characters that STS allows in a role session's name beside letters and digits, of which there
// may be 2 to 64 in all (AssumeRoleWithWebIdentity, API reference).
const sessionNameChars = "_+=,.@-"

// SessionName returns the role session's name, which CloudTrail shows beside each call: source, repository and run of
// the job, with at most 64 characters. A long repository is shortened, so that the run can still be found.
func (id Identity) SessionName() string {
	var repository, run string
	if id.job != nil {
		repository, run = id.job(id.env)
	}
	if repository == "" && run == "" {
		return "docker-credential-ecr-oidc"
	}
	if run != "" {
		run = "-" + last(hyphenate(run), 24)
	}
	room := 64 - len(id.Name) - len(run) - 1
	return id.Name + "-" + last(hyphenate(repository), room) + run
}

// hyphenate replaces each run of characters that a session's name may not have by a hyphen.
func hyphenate(s string) string {
	words := strings.FieldsFunc(s, func(r rune) bool {
		return !('a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || strings.ContainsRune(sessionNameChars, r))
	})
	return strings.Trim(strings.Join(words, "-"), "-")
}

// last returns the last n bytes of s at most.
func last(s string, n int) string {
	if len(s) > n {
		return strings.TrimLeft(s[len(s)-n:], "-")
	}
	return s
}
