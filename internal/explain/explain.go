// Package explain formats errors with advice for the user. It also contains the time limit of a get,
// because the error of that limit needs the same advice.
package explain

import (
	"errors"
	"strings"
	"unicode"

	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/config"
	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/exchange"
	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/repository"
	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/safetext"
	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/token"
)

// Line returns an error and its advice as one line, with the secrets redacted. host is the registry
// of the failed get. It is "" if there is none, or if the error contains the registry.
func Line(err error, host string, secrets []string) string {
	text := "ecr-oidc: " + err.Error()
	for _, advice := range []string{Advice(err), doctorCommand(err, host)} {
		if advice != "" {
			text += "; " + advice
		}
	}
	return safetext.SingleLine(safetext.Redact(text, secrets...))
}

// Advice returns what the user can do about an error. It returns "" for nil, and for an error that
// has no advice.
func Advice(err error) string {
	var (
		missing  *token.MissingError
		noRole   *token.NoRoleError
		audience *token.AudienceError
		aws      *exchange.Error
		none     *exchange.NoCredentialsError
		sso      *exchange.SignInError
		profile  *exchange.ProfileError
		process  *exchange.ProcessError
		endpoint *exchange.EndpointError
		access   *repository.Error
	)
	switch {
	case err == nil:
		return ""
	case errors.As(err, &missing):
		return missing.Advice + describeIgnored(missing.Ignored)
	case errors.As(err, &noRole):
		advice := "set ECR_OIDC_ROLE to the role to assume"
		if noRole.Why != "" {
			advice += ", and " + noRole.Advice
		}
		return advice + describeIgnored(noRole.Ignored)
	case errors.As(err, &audience):
		return audience.Advice
	case errors.As(err, &sso):
		return "run: " + sso.Command + " --profile " + ShellQuote(sso.Profile)
	case errors.As(err, &profile):
		return profileAdvice(profile)
	case errors.As(err, &process):
		return "to test it: aws sts get-caller-identity --profile " + ShellQuote(process.Profile)
	case errors.As(err, &endpoint) && endpoint.Endpoint != "":
		return "for a test server, set ECR_OIDC_ALLOW_HTTP_ENDPOINTS=on"
	case errors.As(err, &none):
		return noCredentialsAdvice(none)
	case errors.Is(err, config.ErrNotAllowed):
		return "if the helper may log in to it, add it to allowed_account_ids in ecr-oidc.yaml"
	case unresolvedHost(err) != "":
		return unresolvedAdvice(err)
	case IsUntrustedCertificate(err):
		return "if a proxy intercepts TLS, set AWS_CA_BUNDLE to a file with its CA certificate"
	case errors.As(err, &aws):
		return awsAdvice(aws)
	case errors.As(err, &access):
		return repositoryAdvice(access)
	}
	return ""
}

// IsUntrustedCertificate reports whether a request failed because this machine does not trust the
// server's certificate. It compares the text of the error: crypto/x509 returns its own text, and on
// macOS the text of the system.
func IsUntrustedCertificate(err error) bool {
	text := err.Error()
	return strings.Contains(text, "certificate signed by unknown authority") ||
		strings.Contains(text, "certificate is not trusted")
}

// doctorCommand returns the doctor command that explains a failed get. It returns "" for errors that
// doctor cannot explain further, and when the registry is not known.
func doctorCommand(err error, host string) string {
	var (
		aws     *exchange.Error
		request *token.RequestError
		timeout *TimeoutError
	)
	switch {
	case IsUntrustedCertificate(err):
		return ""
	case errors.As(err, &request), errors.As(err, &timeout):
	case errors.As(err, &aws) && (Advice(err) == "" || aws.Code == "AccessDenied"):
		host = aws.Registry.Host
	default:
		return ""
	}
	if host == "" {
		return ""
	}
	return "to see why: docker-credential-ecr-oidc doctor " + host
}

// describeIgnored returns how to select the identities that were found but not used.
func describeIgnored(variables []string) string {
	var text string
	for _, name := range variables {
		switch name {
		case "AWS_ACCESS_KEY_ID":
			text += "; to use the AWS keys in the environment, set ECR_OIDC_SOURCE=aws"
		case "AWS_WEB_IDENTITY_TOKEN_FILE":
			text += "; to use AWS_WEB_IDENTITY_TOKEN_FILE, set ECR_OIDC_SOURCE=file"
		}
	}
	return text
}

func noCredentialsAdvice(e *exchange.NoCredentialsError) string {
	advice := "log in (aws sso login), or set ECR_OIDC_PROFILE to a profile that has credentials"
	if e.Why != "" {
		return advice
	}
	return advice + "; the " + e.Ambient + "'s own credentials are used only with ECR_OIDC_SOURCE=aws"
}

func profileAdvice(e *exchange.ProfileError) string {
	switch {
	case e.Missing:
		return "to list the profiles: aws configure list-profiles"
	case e.MFA:
		return "export session credentials to the environment: aws configure export-credentials " +
			"--format env --profile " + ShellQuote(e.Profile)
	case e.ConsoleProfile != "":
		return "set ECR_OIDC_PROFILE=" + ShellQuote(e.ConsoleProfile) + " and ECR_OIDC_ROLE=" + e.Role
	}
	return ""
}

// ShellQuote returns text as one word of a POSIX shell command. It adds quotes only when they are
// needed.
func ShellQuote(text string) string {
	if strings.ContainsFunc(text, func(c rune) bool {
		return !strings.ContainsRune("_-./@:+=,", c) && !unicode.IsLetter(c) && !unicode.IsDigit(c)
	}) {
		return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'"
	}
	return text
}

func awsAdvice(e *exchange.Error) string {
	noProvider := strings.Contains(e.Message, "No OpenIDConnect provider")
	switch {
	case e.Code == "":
		return ""
	case e.Code == "AccessDenied" && e.Step == exchange.StepWebIdentity:
		return "the role does not exist, or its trust policy does not admit this exact subject " +
			"and audience"
	case e.Code == "AccessDenied" && e.Step == exchange.StepAssumeRole:
		return "the role's trust policy must admit the calling identity, and the calling " +
			"identity's policy must allow sts:AssumeRole on the role"
	case strings.HasPrefix(e.Code, "AccessDenied") && e.Step == exchange.StepPassword &&
		e.Registry.Public:
		return "the identity's policy must allow ecr-public:GetAuthorizationToken and " +
			"sts:GetServiceBearerToken on \"*\""
	case strings.HasPrefix(e.Code, "AccessDenied") && e.Step == exchange.StepPassword:
		return "the identity's policy must allow ecr:GetAuthorizationToken on \"*\""
	case e.Code == "InvalidIdentityToken" && noProvider:
		return "create an IAM OIDC provider for the token's issuer in the role's account"
	case e.Code == "InvalidIdentityToken" && strings.Contains(e.Message, "audience"):
		return "add the audience to the client IDs of the IAM OIDC provider, or set " +
			"ECR_OIDC_AUDIENCE to one of its client IDs"
	case e.Code == "ExpiredTokenException":
		return token.ExpiredAdvice(e.Source)
	case e.Code == "RegionDisabledException":
		return "activate STS for that region in the role's account"
	case e.Code == "ValidationError" && strings.Contains(e.Message, "DurationSeconds"):
		return "reduce ECR_OIDC_SESSION_DURATION, or increase the role's maximum session duration"
	}
	return ""
}
