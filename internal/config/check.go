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

// What AWS takes (AssumeRole, API reference).
const (
	inExternalID  = "_+=,.@:/-" // beside letters and digits
	longestPolicy = 2048        // characters of an inline policy
)

// quoting returns how an error shows a wrong value: text in quotes, or instead.
type quoting func(text, others string, longest int, instead string) string

// quoted quotes the value of a variable or a flag.
func quoted(text, _ string, _ int, _ string) string { return strconv.Quote(safetext.Sanitize(text)) }

// quotedIfLike quotes a value of the file only if it has at most longest bytes, and consists of letters,
// digits and others. ECR_OIDC_CONFIG may name another file by mistake.
func quotedIfLike(text, others string, longest int, instead string) string {
	if len(text) > longest || text != "" && !made(text, others) {
		return instead
	}
	return strconv.Quote(text)
}

// check returns what is wrong with the value of a key by itself, in words that follow the name of the
// key or variable.
func check(key string, texts []string, quote quoting) error {
	text := texts[0]
	switch key {
	case "role":
		for _, link := range texts {
			if !isRoleARN(link) && !isRoleName(link) {
				return fmt.Errorf("has %s, which is not a role; it must be %s or %s",
					quote(link, "_+=,.@-/:* ", 128, "a value"), wantARN, wantName)
			}
		}
	case "source":
		if !slices.Contains(token.Sources(), text) {
			return fmt.Errorf("is %s; allowed are %s",
				quote(text, "_-", 32, "invalid"), strings.Join(token.Sources(), ", "))
		}
	case "session_name":
		if !made(text, token.SessionNameChars) || len(text) < 2 || len(text) > 64 {
			return fmt.Errorf("is %s; allowed are 2 to 64 letters, digits and _ + = , . @ -",
				quote(text, token.SessionNameChars+" :/", 128, "invalid"))
		}
	case "session_duration":
		if duration(text) == 0 {
			return fmt.Errorf("is %s; allowed are 900 to 43200 seconds, or 15m to 12h",
				quote(text, ". -", 16, "invalid"))
		}
	case "session_policy":
		return checkPolicy(text)
	case "external_id":
		if !made(text, inExternalID) || len(text) < 2 || len(text) > 1224 {
			return fmt.Errorf("is %s; allowed are 2 to 1224 letters, digits and _ + = , . @ : / -",
				quote(text, inExternalID+" ", 128, "invalid"))
		}
	}
	return nil
}

// duration reads a role session's length, which AWS allows from 15 minutes to 12 hours (AssumeRole,
// API reference); 0 for what is none.
func duration(text string) time.Duration {
	if _, err := strconv.Atoi(text); err == nil {
		text += "s"
	}
	d, err := time.ParseDuration(text)
	if err != nil || d < 15*time.Minute || d > 12*time.Hour || d != d.Truncate(time.Second) {
		return 0
	}
	return d
}

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
	case len(text) > longestPolicy:
		return fmt.Errorf("is a policy of %d characters, and AWS takes %d", len(text), longestPolicy)
	}
	return nil
}

// policy spells out what "pull" stands for. A session has what both the role and its session policy allow.
func policy(text string, reg registry.Registry) string {
	switch {
	case text != "pull":
		return text
	case reg.Public:
		return allowing("ecr-public:GetAuthorizationToken", "sts:GetServiceBearerToken",
			"ecr-public:BatchCheckLayerAvailability", "ecr-public:BatchGetImage",
			"ecr-public:GetDownloadUrlForLayer")
	}
	return allowing("ecr:GetAuthorizationToken", "ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage",
		"ecr:GetDownloadUrlForLayer")
}

// allowing returns an IAM policy that allows the actions on everything.
func allowing(actions ...string) string {
	return `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["` +
		strings.Join(actions, `","`) +
		`"],"Resource":"*"}]}`
}

// CheckSessionName returns an error unless STS accepts the name. The error follows the name of the setting.
func CheckSessionName(name string) error { return check("session_name", []string{name}, quoted) }

// sessionName returns AWS_ROLE_SESSION_NAME; "" when it is not set.
func sessionName(env token.Env) (string, error) {
	name := env.Get("AWS_ROLE_SESSION_NAME")
	if name == "" {
		return "", nil
	}
	if err := CheckSessionName(name); err != nil {
		return "", fmt.Errorf("AWS_ROLE_SESSION_NAME %w", err)
	}
	return name, nil
}
