// Package explain is the table from an error to what its reader can do about it, and the one line
// that reports both.
package explain

import (
	"errors"
	"strings"
	"unicode"

	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/exchange"
	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/repository"
	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/safetext"
	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/token"
)

// Line returns an error and its advice as one line, without the secrets. host is the registry that
// the error is about; "" when there is none or the error names it.
func Line(err error, host string, secrets []string) string {
	text := "ecr-oidc: " + err.Error()
	for _, next := range []string{Advice(err), seeDoctor(err, host)} {
		if next != "" {
			text += "; " + next
		}
	}
	return safetext.SingleLine(safetext.Redact(text, secrets...))
}

// Advice returns what to do about an error; "" when the error says that itself.
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
		next := "set ECR_OIDC_ROLE to the role to assume"
		if noRole.Why != "" {
			next += ", and " + noRole.Advice
		}
		return next + describeIgnored(noRole.Ignored)
	case errors.As(err, &audience):
		return audience.Advice
	case errors.As(err, &sso):
		return "run: " + sso.Command + " --profile " + ShellWord(sso.Profile)
	case errors.As(err, &profile):
		return profileAdvice(profile)
	case errors.As(err, &process):
		return "to try it: aws sts get-caller-identity --profile " + ShellWord(process.Profile)
	case errors.As(err, &endpoint) && endpoint.Endpoint != "":
		return "for a test server, set ECR_OIDC_ALLOW_HTTP_ENDPOINTS=on"
	case errors.As(err, &none):
		return noneAdvice(none)
	case Untrusted(err):
		return "if a proxy intercepts TLS here, set AWS_CA_BUNDLE to a file with its CA certificate"
	case errors.As(err, &aws):
		return awsAdvice(aws)
	case errors.As(err, &access):
		return repositoryAdvice(access)
	}
	return ""
}

// Untrusted reports whether a server's certificate is not trusted on this machine. The texts are
// those of crypto/x509, on macOS those of the system.
func Untrusted(err error) bool {
	text := err.Error()
	return strings.Contains(text, "certificate signed by unknown authority") ||
		strings.Contains(text, "certificate is not trusted")
}

// seeDoctor names the command that explains a failed get, for a refusal without a reason and for a
// timeout.
func seeDoctor(err error, host string) string {
	var (
		aws     *exchange.Error
		request *token.RequestError
		timeout *TimeoutError
	)
	switch {
	case Untrusted(err):
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

// describeIgnored names the identities that were found and not used, and how to choose one.
func describeIgnored(variables []string) string {
	var ways []string
	for _, name := range variables {
		switch name {
		case "AWS_ACCESS_KEY_ID":
			ways = append(ways, "the AWS keys in the environment are used with ECR_OIDC_SOURCE=aws")
		case "AWS_WEB_IDENTITY_TOKEN_FILE":
			ways = append(ways, "AWS_WEB_IDENTITY_TOKEN_FILE is used with ECR_OIDC_SOURCE=file")
		}
	}
	if len(ways) == 0 {
		return ""
	}
	return "; " + strings.Join(ways, "; ")
}

func noneAdvice(e *exchange.NoCredentialsError) string {
	next := "log in (aws sso login), or set ECR_OIDC_PROFILE to a profile that has credentials"
	if e.Why != "" {
		return next
	}
	return next + "; the " + e.Ambient + "'s own credentials are used only with ECR_OIDC_SOURCE=aws"
}

func profileAdvice(e *exchange.ProfileError) string {
	switch {
	case e.Missing:
		return "to see those that there are: aws configure list-profiles"
	case e.MFA:
		return "put a session's keys into the environment: aws configure export-credentials " +
			"--format env --profile " + ShellWord(e.Profile)
	case e.LoginProfile != "":
		return "set ECR_OIDC_PROFILE=" + ShellWord(e.LoginProfile) + " and ECR_OIDC_ROLE=" + e.Role
	}
	return ""
}

// ShellWord returns a name as one word of a shell command.
func ShellWord(name string) string {
	if strings.ContainsFunc(name, func(c rune) bool {
		return !strings.ContainsRune("_-./@:+=,", c) && !unicode.IsLetter(c) && !unicode.IsDigit(c)
	}) {
		return "'" + strings.ReplaceAll(name, "'", `'\''`) + "'"
	}
	return name
}

func awsAdvice(e *exchange.Error) string {
	unsupported := strings.Contains(e.Message, "No OpenIDConnect provider")
	switch {
	case e.Code == "":
		return ""
	case e.Code == "AccessDenied" && e.Step == exchange.StepWebIdentity:
		return "either there is no such role, or its trust policy does not admit exactly this " +
			"subject and audience"
	case e.Code == "AccessDenied" && e.Step == exchange.StepAssumeRole:
		return "the role's trust policy must admit the identity before it, and that identity's " +
			"policy must allow sts:AssumeRole on the role"
	case strings.HasPrefix(e.Code, "AccessDenied") && e.Step == exchange.StepPassword &&
		e.Registry.Public:
		return "allow it ecr-public:GetAuthorizationToken and sts:GetServiceBearerToken on \"*\""
	case strings.HasPrefix(e.Code, "AccessDenied") && e.Step == exchange.StepPassword:
		return "allow it ecr:GetAuthorizationToken on \"*\""
	case e.Code == "InvalidIdentityToken" && unsupported:
		return "create the IAM OIDC provider for the token's issuer in the role's account"
	case e.Code == "InvalidIdentityToken" && strings.Contains(e.Message, "audience"):
		return "add the audience to the client ids of the IAM OIDC provider, or ask for one that is " +
			"there with ECR_OIDC_AUDIENCE"
	case e.Code == "ExpiredTokenException":
		return token.ExpiredAdvice(e.Source)
	case e.Code == "RegionDisabledException":
		return "activate STS in that region in the role's account"
	case e.Code == "ValidationError" && strings.Contains(e.Message, "DurationSeconds"):
		return "shorten ECR_OIDC_SESSION_DURATION, or raise the role's maximum session duration"
	}
	return ""
}
