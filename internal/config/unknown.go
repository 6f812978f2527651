package config

import (
	"fmt"
	"slices"
	"strings"

	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/suggest"
)

// UnknownVariables returns a warning for each variable that begins with ECR_OIDC_ and has no
// meaning. environ is the whole environment, as os.Environ returns it. A get ignores such a
// variable, because a later version may define it.
func UnknownVariables(environ []string) (warnings []string) {
	known := knownVariables()
	for _, pair := range environ {
		name, _, _ := strings.Cut(pair, "=")
		suffix, ok := strings.CutPrefix(name, "ECR_OIDC_")
		if !ok || slices.Contains(known, name) || isForAccount(name) ||
			slices.Contains(installerSuffixes, suffix) {
			continue
		}
		warning := fmt.Sprintf("%s is not a variable of this helper, and is ignored", name)
		if near := suggest.Nearest(name, known); near != "" {
			warning += "; did you mean " + near + "?"
		} else {
			warning += "; its variables are " + strings.Join(known, ", ")
		}
		warnings = append(warnings, warning)
	}
	slices.Sort(warnings)
	return warnings
}

// knownVariables returns this helper's variables, except those for one account.
func knownVariables() []string {
	known := []string{
		"ECR_OIDC_ALLOW_HTTP_ENDPOINTS", "ECR_OIDC_AZURE_SERVICE_CONNECTION", "ECR_OIDC_CACHE",
		"ECR_OIDC_CACHE_DIR", "ECR_OIDC_CONFIG", "ECR_OIDC_DEBUG", "ECR_OIDC_ROLE_PUBLIC",
		"ECR_OIDC_STORED_LOGINS", "ECR_OIDC_TOKEN",
	}
	for _, v := range variableKeys {
		known = append(known, v.name)
	}
	slices.Sort(known)
	return known
}

// installerSuffixes are the variables of the install scripts and of the action's download, without
// "ECR_OIDC_". This program does not read them, but they are not mistakes.
var installerSuffixes = []string{"BINARY", "INSTALL_DIR", "MIRROR", "VERIFY", "VERSION"}

// isForAccount reports whether a variable is for one account. Read reports a malformed account.
func isForAccount(name string) bool {
	return strings.HasPrefix(name, "ECR_OIDC_ROLE_") || strings.HasPrefix(name, "ECR_OIDC_PROFILE_")
}

// describeUnknownKey returns the text after "unknown key": the key, and the allowed key that it is
// probably meant to be, or all allowed keys.
func describeUnknownKey(key string, allowed []string) string {
	if quoted := keySuffix(key); quoted != "" {
		if nearest := suggest.Nearest(key, allowed); nearest != "" {
			return quoted + "; did you mean " + nearest + "?"
		}
	}
	return keySuffix(key) + "; allowed keys are " + strings.Join(allowed, ", ")
}
