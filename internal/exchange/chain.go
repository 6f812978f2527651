package exchange

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsconfig "github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/credentials/endpointcreds"
	"github.com/aws/aws-sdk-go-v2/credentials/ssocreds"
	"github.com/aws/aws-sdk-go-v2/feature/ec2/imds"
	ssotypes "github.com/aws/aws-sdk-go-v2/service/sso/types"
	"github.com/aws/smithy-go/logging"

	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/safetext"
	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/token"
)

// keys returns the environment's access keys.
func (r Request) keys() (aws.Credentials, error) {
	secret := r.Env.Get("AWS_SECRET_ACCESS_KEY")
	if secret == "" {
		return aws.Credentials{}, fmt.Errorf("reading AWS credentials: AWS_ACCESS_KEY_ID is set, but %s",
			r.Env.DescribeMissing("AWS_SECRET_ACCESS_KEY"))
	}
	return aws.Credentials{
		AccessKeyID: r.Env.Get("AWS_ACCESS_KEY_ID"), SecretAccessKey: secret,
		SessionToken: r.Env.Get("AWS_SESSION_TOKEN"),
	}, nil
}

// awsCredentials returns the SDK's configuration for an "aws" identity, and its credentials: the
// keys in the environment alone, so that no file and no metadata service counts, or the SDK's own
// chain.
func (r Request) awsCredentials(ctx context.Context) (cfg aws.Config, s session, err error) {
	if r.Identity.KeysOnly {
		if s.keys, err = r.keys(); err != nil {
			return cfg, s, err
		}
		if cfg, err = r.environmentConfig(ctx); err != nil {
			return cfg, s, err
		}
		_, _, err = r.endpoints(ctx, cfg)
	} else {
		cfg, s.keys, err = r.defaultChain(ctx)
		// The profile's token file may hold another job's token tomorrow, and nothing read it
		// before the cache.
		s.noCache = startsWith(cfg, aws.CredentialSourceProfileSTSWebIDToken)
	}
	cfg.Credentials = credentials.StaticCredentialsProvider{Value: s.keys}
	if s.keys.CanExpire {
		s.expires, s.ttl = true, time.Until(s.keys.Expires)
	}
	return cfg, s, err
}

// defaultChain returns the credentials of the SDK's own chain: environment keys, profile, SSO,
// credential_process. The end of the chain, the container's or the instance's credentials, is used
// only when the user chose the "aws" source by name. A process that lost its job's variables (sudo,
// env -i, a nested container) must not use the machine's identity.
func (r Request) defaultChain(ctx context.Context) (aws.Config, aws.Credentials, error) {
	cfg, err := r.load(ctx)
	if err != nil {
		return aws.Config{}, aws.Credentials{}, err
	}
	shared := sharedConfig(cfg)
	machine := ambient(cfg, first(shared))
	if machine != "" && !r.Identity.Explicit {
		return aws.Config{}, aws.Credentials{},
			&NoCredentialsError{Profile: shared.Profile, Ambient: machine}
	}
	r.Debug("asking the AWS SDK's chain for credentials, profile %q", shared.Profile)
	found, err := r.retrieve(ctx, cfg, shared)
	switch {
	case err != nil && machine != "":
		none := &NoCredentialsError{Profile: shared.Profile, Ambient: machine}
		none.Why = safetext.Redact(reason(err), r.Env.Secrets()...)
		return aws.Config{}, aws.Credentials{}, none
	case err != nil:
		return aws.Config{}, aws.Credentials{}, r.noCredentials(shared, err)
	}
	return cfg, found, nil
}

// load returns the configuration of the SDK's chain. It makes no request and runs no command.
func (r Request) load(ctx context.Context) (aws.Config, error) {
	options := []func(*awsconfig.LoadOptions) error{
		awsconfig.WithRegion(r.Settings.Registry.Region),
		awsconfig.WithHTTPClient(r.client()),
		awsconfig.WithEndpointCredentialOptions(func(o *endpointcreds.Options) { o.HTTPClient = r.client() }),
		awsconfig.WithAPIOptions(append(r.apiOptions(), refuseRenewal)),
		awsconfig.WithLogger(logging.Nop{}), // a successful get is silent on stderr
	}
	if r.Settings.Identity.Profile != "" { // and only then: a profile named in code beats environment keys
		options = append(options, awsconfig.WithSharedConfigProfile(r.Settings.Identity.Profile))
	}
	if !r.Identity.Explicit {
		options = append(options, awsconfig.WithEC2IMDSClientEnableState(imds.ClientDisabled))
	}
	cfg, err := awsconfig.LoadDefaultConfig(ctx, options...)
	if err != nil {
		return aws.Config{}, r.unloadable(ctx, err)
	}
	cfg.Retryer = retryer(ctx, cfg.RetryMode, cfg.RetryMaxAttempts)
	shared := sharedConfig(cfg)
	if profile, from := r.profile(); profile != shared.Profile && from == "AWS_DEFAULT_PROFILE" {
		// The SDK ignores a missing profile that AWS_DEFAULT_PROFILE names.
		return aws.Config{}, r.unloadable(ctx, awsconfig.SharedConfigProfileNotExistError{Profile: profile})
	}
	_, _, err = r.endpoints(ctx, cfg)
	return cfg, err
}

// retrieve asks the chain for credentials, and replaces the parts of it that are not safe here: the
// renewal of a login, and the running of a command. A profile in the form before sso-session has a
// token that cannot be renewed.
func (r Request) retrieve(
	ctx context.Context, cfg aws.Config, shared awsconfig.SharedConfig,
) (aws.Credentials, error) {
	var login signIn
	var err error
	begin := first(shared)
	switch {
	case startsWith(cfg, aws.CredentialSourceProfileProcess):
		return r.retrieveFromProcess(ctx, cfg, shared)
	case startsWith(cfg, aws.CredentialSourceProfileSSO):
		login.credentials = cfg.Credentials
		login.file, err = ssocreds.StandardCachedTokenFilepath(begin.SSOSession.Name)
	case startsWith(cfg, aws.CredentialSourceProfileLogin):
		login, err = r.consoleSignIn(cfg, begin)
	default:
		return cfg.Credentials.Retrieve(ctx)
	}
	if err != nil {
		return aws.Credentials{}, err
	}
	r.Debug("reading the login in %s", login.file)
	return login.retrieve(ctx)
}

// unloadable returns the error for a profile that the SDK could not read.
func (r Request) unloadable(ctx context.Context, err error) error {
	profile, from := r.profile()
	var (
		source awsconfig.SharedConfigAssumeRoleError
		none   awsconfig.SharedConfigProfileNotExistError
		mfa    awsconfig.AssumeRoleTokenProviderNotSetError
	)
	e := &ProfileError{Profile: profile, From: from}
	configs, secrets := ProfileFiles(r.Env)
	switch {
	case errors.As(err, &source) && source.Err != nil:
		e.Why = "builds on profile " + quoted(source.Profile) + ", which is not there"
	case errors.As(err, &source):
		e.Why = "builds on profile " + quoted(source.Profile) + ", which has no credentials"
		below, _ := awsconfig.LoadSharedConfigProfile(ctx, source.Profile,
			func(o *awsconfig.LoadSharedConfigOptions) {
				o.ConfigFiles, o.CredentialsFiles = []string{configs}, []string{secrets}
				o.Logger = logging.Nop{}
			})
		if below.LoginSession != "" { // hasCredentials (config/shared_config.go) does not check it
			e.LoginProfile, e.Role = source.Profile, source.RoleARN
			e.Why = "builds on profile " + quoted(source.Profile) + ", which uses aws login; the AWS " +
				"SDK for Go does not support that"
		}
	case errors.As(err, &none):
		e.Missing, e.Why = true, "is in neither "+configs+" nor "+secrets
	case errors.As(err, &mfa):
		e.MFA, e.Why = true, "wants an MFA code (mfa_serial), and nobody can be asked for it here"
	default:
		e.Why = "cannot be read: " + safetext.Sanitize(safetext.Redact(err.Error(), r.Env.Secrets()...))
	}
	return e
}

// profile returns the name of the profile to use, and the variable or line that names it; "" for
// the default.
func (r Request) profile() (name, from string) {
	if r.Settings.Identity.Profile != "" {
		return r.Settings.Identity.Profile, r.Settings.Identity.ProfileFrom
	}
	for _, from := range []string{"AWS_PROFILE", "AWS_DEFAULT_PROFILE"} {
		if name := r.Env.Get(from); name != "" {
			return name, from
		}
	}
	return "default", ""
}

// ProfileFiles returns the paths of the SDK's two files, the configuration and the credentials. It opens
// neither.
func ProfileFiles(env token.Env) (configuration, secrets string) {
	return cmp.Or(env.Get("AWS_CONFIG_FILE"), awsconfig.DefaultSharedConfigFilename()),
		cmp.Or(env.Get("AWS_SHARED_CREDENTIALS_FILE"), awsconfig.DefaultSharedCredentialsFilename())
}

// sharedConfig returns the profile that the SDK has resolved.
func sharedConfig(cfg aws.Config) awsconfig.SharedConfig {
	for _, source := range cfg.ConfigSources {
		if shared, ok := source.(awsconfig.SharedConfig); ok && shared.Profile != "" {
			return shared
		}
	}
	return awsconfig.SharedConfig{Profile: "default"} // there is no file
}

// first returns the profile that the chain begins with: the last one of those that source_profile
// links.
func first(shared awsconfig.SharedConfig) awsconfig.SharedConfig {
	for shared.Source != nil {
		shared = *shared.Source
	}
	return shared
}

// startsWith reports whether the chain's first credentials come from source. The profile does not
// tell that: keys in the environment override one that AWS_PROFILE names.
func startsWith(cfg aws.Config, source aws.CredentialSource) bool {
	p, ok := cfg.Credentials.(aws.CredentialProviderSource)
	return ok && slices.Contains(p.ProviderSources(), source)
}

// ambient returns "instance" or "container" when the credentials are the machine's, because the
// chain ended there or because its first profile names them; otherwise "".
func ambient(cfg aws.Config, profile awsconfig.SharedConfig) string {
	switch {
	case startsWith(cfg, aws.CredentialSourceIMDS):
		return "instance"
	// To the SDK, "Environment" is HTTP, too.
	case startsWith(cfg, aws.CredentialSourceHTTP) && profile.CredentialSource != "Environment":
		return "container"
	}
	return ""
}

// noCredentials returns the error for a chain without credentials. The SDK has no single type for
// an expired login: its providers return five different errors for it, two of them only text
// (credentials/ssocreds, logincreds).
func (r Request) noCredentials(shared awsconfig.SharedConfig, err error) error {
	begin := first(shared)
	sso, login := begin.SSOSession != nil || begin.SSOStartURL != "", begin.LoginSession != ""
	var (
		kept     *unrenewable
		process  *ProcessError
		endpoint *EndpointError
	)
	switch {
	case errors.As(err, &endpoint):
		return endpoint
	case errors.As(err, &process):
		return process
	case errors.As(err, &kept) && (sso || login):
		why := "cannot be renewed here: " + kept.why.Error()
		return &SignInError{Profile: begin.Profile, Command: command(sso), Why: why, Err: err}
	case loginOver(err) && (sso || login):
		return &SignInError{Profile: begin.Profile, Command: command(sso), Err: err}
	}
	if api, ok := asAPIError(err); ok {
		said := safetext.Sanitize(api.ErrorCode())
		// AWS's message about a wrong signature quotes the request, with a session token that only
		// the SDK's chain knows. IAM Identity Center's OIDC service has no message there.
		if words := api.ErrorMessage(); words != "" && !strings.Contains(said, "Signature") {
			secrets := append(r.Env.Secrets(), begin.Credentials.SecretAccessKey,
				begin.Credentials.SessionToken)
			said += ": " + safetext.Sanitize(safetext.Redact(words, secrets...))
		}
		return fmt.Errorf("finding AWS credentials in profile %q: %s", shared.Profile, said)
	}
	why := safetext.Sanitize(safetext.Redact(reason(err), r.Env.Secrets()...))
	return fmt.Errorf("finding AWS credentials in profile %q: %s", shared.Profile, why)
}

func command(sso bool) string {
	if sso {
		return "aws sso login"
	}
	return "aws login"
}

// loginOver reports whether an error means that a person has to log in.
func loginOver(err error) bool {
	var (
		invalid      *ssocreds.InvalidTokenError
		unauthorized *ssotypes.UnauthorizedException
		path         *fs.PathError
	)
	return errors.As(err, &invalid) || errors.As(err, &unauthorized) || errors.As(err, &path) ||
		refused(err) || torn(err) ||
		strings.Contains(err.Error(), "token is expired") ||
		strings.Contains(err.Error(), "please reauthenticate")
}
