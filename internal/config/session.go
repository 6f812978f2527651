package config

import (
	"fmt"

	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/token"
)

// sessionNameChars are the characters that STS allows in a role session's name beside letters and digits
// (AssumeRoleWithWebIdentity, API reference).
const sessionNameChars = "_+=,.@-"

// CheckSessionName returns an error unless STS accepts the name. The error follows the name of the setting.
func CheckSessionName(name string) error { return check("session_name", []string{name}, quoted) }

// sessionName returns AWS_ROLE_SESSION_NAME; "" when it is not set.
func sessionName(env token.Env) (string, error) {
	name := env.Get("AWS_ROLE_SESSION_NAME")
	if name != "" {
		if err := CheckSessionName(name); err != nil {
			return "", fmt.Errorf("AWS_ROLE_SESSION_NAME %w", err)
		}
	}
	return name, nil
}
