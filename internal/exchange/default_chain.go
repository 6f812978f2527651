package exchange

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsconfig "github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/credentials/endpointcreds"
	"github.com/aws/aws-sdk-go-v2/credentials/ssocreds"
	"github.com/aws/aws-sdk-go-v2/feature/ec2/imds"
	"github.com/aws/smithy-go/logging"

	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/safetext"
	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/token"
)

// environmentKeys returns the access keys in the environment.
func (r Request) environmentKeys() (aws.Credentials, error) {
	secret := r.Env.Get("AWS_SECRET_ACCESS_KEY")
	if secret == "" {
		const format = "reading AWS credentials: AWS_ACCESS_KEY_ID is set, AWS_SECRET_ACCESS_KEY is %s"
		if _, set := r.Env("AWS_SECRET_ACCESS_KEY"); set {
			return aws.Credentials{}, fmt.Errorf(format, "empty")
		}
		return aws.Credentials{}, fmt.Errorf(format, "not")
	}
	return aws.Credentials{
		AccessKeyID: r.Env.Get("AWS_ACCESS_KEY_ID"), SecretAccessKey: secret,
		SessionToken: r.Env.Get("AWS_SESSION_TOKEN"),
	}, nil
}

// awsCredentials returns the SDK configuration and the credentials of an "aws" identity. With
// KeysOnly they are the access keys in the environment, and no file and no metadata service is
// read. Otherwise they come from the SDK's default chain.
func (r Request) awsCredentials(ctx context.Context) (cfg aws.Config, s session, err error) {
	if r.Identity.KeysOnly {
		if s.keys, err = r.environmentKeys(); err != nil {
			return cfg, s, err
		}
		if cfg, err = r.environmentConfig(ctx); err != nil {
			return cfg, s, err
		}
		_, _, err = r.endpoints(ctx, cfg)
	} else {
		cfg, s.keys, err = r.defaultChain(ctx)
		// Another job may later write its token to the profile's token file. The cache key
		// does not depend on the token, because only the SDK reads the file.
		s.noCache = usesSource(cfg, aws.CredentialSourceProfileSTSWebIDToken)
	}
	cfg.Credentials = credentials.StaticCredentialsProvider{Value: s.keys}
	if s.keys.CanExpire {
		s.expires, s.ttl = true, time.Until(s.keys.Expires)
	}
	return cfg, s, err
}

// defaultChain returns the credentials of the SDK's default chain: environment keys, profile, SSO,
// credential_process. The end of the chain, the credentials of the container or the instance, is
// used only when the user named the "aws" source. A process without its job's variables (sudo, env
// -i, a nested container) must not use the machine's identity.
func (r Request) defaultChain(ctx context.Context) (aws.Config, aws.Credentials, error) {
	cfg, err := r.loadDefaultConfig(ctx)
	if err != nil {
		return aws.Config{}, aws.Credentials{}, err
	}
	shared := sharedConfig(cfg)
	ambient := ambientSource(cfg, baseProfile(shared))
	if ambient != "" && !r.Identity.Explicit {
		return aws.Config{}, aws.Credentials{},
			&NoCredentialsError{Profile: shared.Profile, Ambient: ambient}
	}
	r.Debug("requesting credentials from the AWS SDK's default chain, profile %q", shared.Profile)
	found, err := r.retrieveFromChain(ctx, cfg, shared)
	switch {
	case err != nil && ambient != "":
		none := &NoCredentialsError{Profile: shared.Profile, Ambient: ambient}
		none.Why = safetext.Redact(describeSDKError(err), r.Env.Secrets()...)
		return aws.Config{}, aws.Credentials{}, none
	case err != nil:
		return aws.Config{}, aws.Credentials{}, r.chainError(shared, err)
	}
	return cfg, found, nil
}

// loadDefaultConfig returns the configuration of the SDK's default chain. It makes no request and
// runs no command.
func (r Request) loadDefaultConfig(ctx context.Context) (aws.Config, error) {
	options := []func(*awsconfig.LoadOptions) error{
		awsconfig.WithRegion(r.Settings.Registry.Region),
		awsconfig.WithHTTPClient(r.httpClient()),
		awsconfig.WithEndpointCredentialOptions(func(o *endpointcreds.Options) {
			o.HTTPClient = r.httpClient()
		}),
		awsconfig.WithAPIOptions(append(r.apiOptions(), refuseRenewal)),
		awsconfig.WithLogger(logging.Nop{}), // a successful get is silent on stderr
	}
	// A profile in the options overrides the keys in the environment. AWS_PROFILE does not.
	if r.Settings.Identity.Profile != "" {
		options = append(options, awsconfig.WithSharedConfigProfile(r.Settings.Identity.Profile))
	}
	if !r.Identity.Explicit {
		options = append(options, awsconfig.WithEC2IMDSClientEnableState(imds.ClientDisabled))
	}
	cfg, err := awsconfig.LoadDefaultConfig(ctx, options...)
	if err != nil {
		return aws.Config{}, r.profileError(ctx, err)
	}
	cfg.Retryer = retryer(ctx, cfg.RetryMode, cfg.RetryMaxAttempts)
	shared := sharedConfig(cfg)
	profile, from := r.profileName()
	if profile != shared.Profile && from == "AWS_DEFAULT_PROFILE" {
		// The SDK ignores a missing profile that AWS_DEFAULT_PROFILE names.
		notExist := awsconfig.SharedConfigProfileNotExistError{Profile: profile}
		return aws.Config{}, r.profileError(ctx, notExist)
	}
	_, _, err = r.endpoints(ctx, cfg)
	return cfg, err
}

// retrieveFromChain returns the credentials of the default chain. For a profile with a sign-in
// session or a credential_process it does not use the SDK's provider directly, for the reasons at
// signIn.retrieve and process. A legacy SSO profile, without sso-session, needs no such handling:
// its token cannot be renewed.
func (r Request) retrieveFromChain(
	ctx context.Context, cfg aws.Config, shared awsconfig.SharedConfig,
) (aws.Credentials, error) {
	var login signIn
	var err error
	base := baseProfile(shared)
	switch {
	case usesSource(cfg, aws.CredentialSourceProfileProcess):
		return r.retrieveFromProcess(ctx, cfg, shared)
	case usesSource(cfg, aws.CredentialSourceProfileSSO):
		login.credentials = cfg.Credentials
		login.file, err = ssocreds.StandardCachedTokenFilepath(base.SSOSession.Name)
	case usesSource(cfg, aws.CredentialSourceProfileLogin):
		login, err = r.consoleSignIn(cfg, base)
	default:
		return cfg.Credentials.Retrieve(ctx)
	}
	if err != nil {
		return aws.Credentials{}, err
	}
	r.Debug("reading the sign-in session in %s", login.file)
	return login.retrieve(ctx)
}

// profileName returns the profile that the SDK uses, and the variable or line that names it; "" for
// the default profile.
func (r Request) profileName() (name, from string) {
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

// ProfileFiles returns the paths of the AWS configuration file and the AWS credentials file. It
// does not open them.
func ProfileFiles(env token.Env) (configuration, secrets string) {
	return cmp.Or(env.Get("AWS_CONFIG_FILE"), awsconfig.DefaultSharedConfigFilename()),
		cmp.Or(env.Get("AWS_SHARED_CREDENTIALS_FILE"), awsconfig.DefaultSharedCredentialsFilename())
}

// sharedConfig returns the profile that the SDK loaded.
func sharedConfig(cfg aws.Config) awsconfig.SharedConfig {
	for _, source := range cfg.ConfigSources {
		if shared, ok := source.(awsconfig.SharedConfig); ok && shared.Profile != "" {
			return shared
		}
	}
	return awsconfig.SharedConfig{Profile: "default"} // no file exists
}

// baseProfile returns the profile that has the first credentials. It follows source_profile to the
// end.
func baseProfile(shared awsconfig.SharedConfig) awsconfig.SharedConfig {
	for shared.Source != nil {
		shared = *shared.Source
	}
	return shared
}

// usesSource reports whether the default chain gets its first credentials from source. The profile
// alone does not decide that: keys in the environment override AWS_PROFILE.
func usesSource(cfg aws.Config, source aws.CredentialSource) bool {
	p, ok := cfg.Credentials.(aws.CredentialProviderSource)
	return ok && slices.Contains(p.ProviderSources(), source)
}

// ambientSource returns "instance" or "container" when the credentials are the machine's. That is
// at the end of the default chain, or when the base profile has credential_source. Otherwise it
// returns "".
func ambientSource(cfg aws.Config, profile awsconfig.SharedConfig) string {
	switch {
	case usesSource(cfg, aws.CredentialSourceIMDS):
		return "instance"
	// The SDK reports HTTP for credential_source = Environment too.
	case usesSource(cfg, aws.CredentialSourceHTTP) && profile.CredentialSource != "Environment":
		return "container"
	}
	return ""
}
