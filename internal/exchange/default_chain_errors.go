package exchange

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"

	awsconfig "github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials/ssocreds"
	ssotypes "github.com/aws/aws-sdk-go-v2/service/sso/types"
	"github.com/aws/smithy-go/logging"

	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/safetext"
)

// profileError returns the *ProfileError for an error of loading a profile. It redacts secrets.
func (in LoginInput) profileError(ctx context.Context, err error) error {
	profile, from := in.profileName()
	var (
		assumeRole awsconfig.SharedConfigAssumeRoleError
		notExist   awsconfig.SharedConfigProfileNotExistError
		mfa        awsconfig.AssumeRoleTokenProviderNotSetError
	)
	e := &ProfileError{Profile: profile, From: from}
	configFile, credentialsFile := ProfileFiles(in.Env)
	switch {
	case errors.As(err, &assumeRole) && assumeRole.Err != nil:
		e.Why = fmt.Sprintf("has source_profile %s, which does not exist",
			quoteProfile(assumeRole.Profile))
	case errors.As(err, &assumeRole):
		e.Why = fmt.Sprintf("has source_profile %s, which has no credentials",
			quoteProfile(assumeRole.Profile))
		sourceProfile, _ := awsconfig.LoadSharedConfigProfile(ctx, assumeRole.Profile,
			func(o *awsconfig.LoadSharedConfigOptions) {
				o.ConfigFiles = []string{configFile}
				o.CredentialsFiles = []string{credentialsFile}
				o.Logger = logging.Nop{}
			})
		// The SDK's hasCredentials (config/shared_config.go) ignores login_session.
		if sourceProfile.LoginSession != "" {
			e.ConsoleProfile, e.Role = assumeRole.Profile, assumeRole.RoleARN
			e.Why = fmt.Sprintf("has source_profile %s, which uses aws login; "+
				"the AWS SDK for Go does not support that", quoteProfile(assumeRole.Profile))
		}
	case errors.As(err, &notExist):
		e.Missing, e.Why = true, "is in neither "+configFile+" nor "+credentialsFile
	case errors.As(err, &mfa):
		e.MFA, e.Why = true, "requires an MFA code (mfa_serial), which cannot be entered here"
	default:
		why := safetext.Redact(err.Error(), in.Env.Secrets()...)
		e.Why = "cannot be read: " + safetext.Sanitize(why)
	}
	return e
}

// chainError returns the error of this package for an error of the default chain. It redacts
// secrets. An expired sign-in session becomes a *SignInError.
func (in LoginInput) chainError(shared awsconfig.SharedConfig, err error) error {
	base := baseProfile(shared)
	sso, console := base.SSOSession != nil || base.SSOStartURL != "", base.LoginSession != ""
	var (
		renewal  *renewalError
		process  *ProcessError
		endpoint *EndpointError
	)
	switch {
	case errors.As(err, &endpoint):
		return endpoint
	case errors.As(err, &process):
		return process
	case errors.As(err, &renewal) && (sso || console):
		why := "cannot be renewed here: " + renewal.why.Error()
		return &SignInError{
			Profile: base.Profile, Command: signInCommand(sso), Why: why, Err: err,
		}
	case mustSignIn(err) && (sso || console):
		return &SignInError{Profile: base.Profile, Command: signInCommand(sso), Err: err}
	}
	if api, ok := asAPIError(err); ok {
		detail := safetext.Sanitize(api.ErrorCode())
		// AWS's message for an invalid signature quotes the request. It contains a session
		// token that only the SDK has, and that cannot be redacted. IAM Identity Center's
		// OIDC service returns no message.
		message := api.ErrorMessage()
		if message != "" && !strings.Contains(detail, "Signature") {
			secrets := append(in.Env.Secrets(), base.Credentials.SecretAccessKey,
				base.Credentials.SessionToken)
			detail += ": " + safetext.Sanitize(safetext.Redact(message, secrets...))
		}
		return fmt.Errorf("finding AWS credentials in profile %q: %s", shared.Profile, detail)
	}
	why := safetext.Sanitize(safetext.Redact(describeSDKError(err), in.Env.Secrets()...))
	return fmt.Errorf("finding AWS credentials in profile %q: %s", shared.Profile, why)
}

// signInCommand returns the command that starts a new sign-in session.
func signInCommand(sso bool) string {
	if sso {
		return "aws sso login"
	}
	return "aws login"
}

// mustSignIn reports whether an error means that the user must sign in again. The SDK has no single
// type for an expired session: its providers (credentials/ssocreds, logincreds) return five
// different errors, two of them only as text.
func mustSignIn(err error) bool {
	var (
		invalid      *ssocreds.InvalidTokenError
		unauthorized *ssotypes.UnauthorizedException
		path         *fs.PathError
	)
	return errors.As(err, &invalid) || errors.As(err, &unauthorized) || errors.As(err, &path) ||
		renewalRefused(err) || isPartialRead(err) ||
		strings.Contains(err.Error(), "token is expired") ||
		strings.Contains(err.Error(), "please reauthenticate")
}
