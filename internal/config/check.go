package config

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/registry"
	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/safetext"
	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/token"
)

// Limits of AssumeRole (STS API reference).
const (
	externalIDChars = "_+=,.@:/-" // in addition to letters and digits
	maxPolicyLength = 2048        // characters of an inline session policy
)

// quoter returns the text of an invalid value for an error message, in quotes, or fallback. extra and
// maxLen describe the values that are plausible for the key; see quotePlausible.
type quoter func(text, extra string, maxLen int, fallback string) string

// quoteAny is the quoter for the value of a variable or a flag. It always quotes the value.
func quoteAny(text, _ string, _ int, _ string) string {
	return strconv.Quote(safetext.Sanitize(text))
}

// quotePlausible is the quoter for a value of the file. It quotes the value only if it has at most
// maxLen bytes and consists of letters, digits and the extra characters. ECR_OIDC_CONFIG may name the
// wrong file, and the message must not contain a secret from that file.
func quotePlausible(text, extra string, maxLen int, fallback string) string {
	if len(text) > maxLen || text != "" && !onlyChars(text, extra) {
		return fallback
	}
	return strconv.Quote(text)
}

// check validates the value of a key, regardless of other keys. The error is a predicate, such as
// "is empty", which the caller puts after the name of the key or the variable.
func check(key string, texts []string, quote quoter) error {
	text := texts[0]
	switch key {
	case "role":
		for _, role := range texts {
			if !isRoleARN(role) && !isRoleName(role) {
				return fmt.Errorf("has %s, which is not a role; it must be %s or %s",
					quote(role, "_+=,.@-/:* ", 128, "a value"), arnFormat, nameFormat)
			}
		}
	case "source":
		if !slices.Contains(token.Sources(), text) {
			return fmt.Errorf("is %s; allowed values are %s",
				quote(text, "_-", 32, "invalid"), strings.Join(token.Sources(), ", "))
		}
	case "session_name":
		if !onlyChars(text, token.SessionNameChars) || len(text) < 2 || len(text) > 64 {
			return fmt.Errorf("is %s; it must have 2 to 64 characters: "+
				"letters, digits and _ + = , . @ -",
				quote(text, token.SessionNameChars+" :/", 128, "invalid"))
		}
	case "session_duration":
		if parseDuration(text) == 0 {
			return fmt.Errorf("is %s; it must be 900 to 43200 seconds, or 15m to 12h",
				quote(text, ". -", 16, "invalid"))
		}
	case "session_policy":
		return checkPolicy(text)
	case "external_id":
		if !onlyChars(text, externalIDChars) || len(text) < 2 || len(text) > 1224 {
			return fmt.Errorf("is %s; it must have 2 to 1224 characters: "+
				"letters, digits and _ + = , . @ : / -",
				quote(text, externalIDChars+" ", 128, "invalid"))
		}
	}
	return nil
}

// parseDuration parses the duration of a role session: a number of seconds, or a Go duration. It
// returns 0 if text is not a whole number of seconds from 15 minutes to 12 hours, which AWS allows
// (AssumeRole, STS API reference).
func parseDuration(text string) time.Duration {
	if _, err := strconv.Atoi(text); err == nil {
		text += "s"
	}
	d, err := time.ParseDuration(text)
	if err != nil || d < 15*time.Minute || d > 12*time.Hour || d != d.Truncate(time.Second) {
		return 0
	}
	return d
}

// checkPolicy validates a session policy. The error is a predicate; see check.
func checkPolicy(text string) error {
	if text == "pull" {
		return nil
	}
	var document map[string]json.RawMessage
	switch err := json.Unmarshal([]byte(text), &document); {
	case err != nil:
		return fmt.Errorf("is neither pull nor an IAM policy in JSON")
	case document["Statement"] == nil:
		return fmt.Errorf("is a policy without a Statement")
	case len(text) > maxPolicyLength:
		return fmt.Errorf("is a policy of %d characters; AWS allows %d", len(text),
			maxPolicyLength)
	}
	return nil
}

// expandPolicy returns the session policy that "pull" stands for, or text if it is already a policy.
// A session has only the permissions that both its role and its session policy allow.
func expandPolicy(text string, reg registry.Registry) string {
	switch {
	case text != "pull":
		return text
	case reg.Public:
		return allowPolicy("ecr-public:GetAuthorizationToken", "sts:GetServiceBearerToken",
			"ecr-public:BatchCheckLayerAvailability", "ecr-public:BatchGetImage",
			"ecr-public:GetDownloadUrlForLayer")
	}
	return allowPolicy("ecr:GetAuthorizationToken", "ecr:BatchCheckLayerAvailability",
		"ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer")
}

// allowPolicy returns an IAM policy that allows the actions on all resources.
func allowPolicy(actions ...string) string {
	return `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["` +
		strings.Join(actions, `","`) +
		`"],"Resource":"*"}]}`
}

// CheckSessionName returns an error if STS does not accept name as a role session name. The error is
// a predicate, such as "is empty", which the caller puts after the name of the setting.
func CheckSessionName(name string) error { return check("session_name", []string{name}, quoteAny) }

// standardSessionName returns the value of AWS_ROLE_SESSION_NAME, or "" if it is not set.
func standardSessionName(env token.Env) (string, error) {
	name := env.Get("AWS_ROLE_SESSION_NAME")
	if name == "" {
		return "", nil
	}
	if err := CheckSessionName(name); err != nil {
		return "", fmt.Errorf("AWS_ROLE_SESSION_NAME %w", err)
	}
	return name, nil
}
