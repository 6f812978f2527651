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
func (in LoginInput) environmentKeys() (aws.Credentials, error) {
	secret := in.Env.Get("AWS_SECRET_ACCESS_KEY")
	if secret == "" {
		const format = "reading AWS credentials: AWS_ACCESS_KEY_ID is set, AWS_SECRET_ACCESS_KEY is %s"
		if _, set := in.Env("AWS_SECRET_ACCESS_KEY"); set {
			return aws.Credentials{}, fmt.Errorf(format, "empty")
		}
		return aws.Credentials{}, fmt.Errorf(format, "not")
	}
	return aws.Credentials{
		AccessKeyID: in.Env.Get("AWS_ACCESS_KEY_ID"), SecretAccessKey: secret,
		SessionToken: in.Env.Get("AWS_SESSION_TOKEN"),
	}, nil
}

// awsCredentials returns the SDK configuration and the credentials of an "aws" identity. With
// KeysOnly they are the access keys in the environment, and no file and no metadata service is
// read. Otherwise they come from the SDK's default chain.
func (in LoginInput) awsCredentials(ctx context.Context) (cfg aws.Config, s session, err error) {
	if in.Identity.KeysOnly {
		if s.keys, err = in.environmentKeys(); err != nil {
			return cfg, s, err
		}
		if cfg, err = in.environmentConfig(ctx); err != nil {
			return cfg, s, err
		}
		_, _, err = in.endpoints(ctx, cfg)
	} else {
		cfg, s.keys, err = in.defaultChain(ctx)
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
func (in LoginInput) defaultChain(ctx context.Context) (aws.Config, aws.Credentials, error) {
	cfg, err := in.loadDefaultConfig(ctx)
	if err != nil {
		return aws.Config{}, aws.Credentials{}, err
	}
	shared := sharedConfig(cfg)
	ambient := ambientSource(cfg, baseProfile(shared))
	if ambient != "" && !in.Identity.Explicit {
		return aws.Config{}, aws.Credentials{},
			&NoCredentialsError{Profile: shared.Profile, Ambient: ambient}
	}
	in.Debug("requesting credentials from the AWS SDK's default chain, profile %q", shared.Profile)
	found, err := in.retrieveFromChain(ctx, cfg, shared)
	switch {
	case err != nil && ambient != "":
		none := &NoCredentialsError{Profile: shared.Profile, Ambient: ambient}
		none.Why = safetext.Redact(describeSDKError(err), in.Env.Secrets()...)
		return aws.Config{}, aws.Credentials{}, none
	case err != nil:
		return aws.Config{}, aws.Credentials{}, in.chainError(shared, err)
	}
	return cfg, found, nil
}

// loadDefaultConfig returns the configuration of the SDK's default chain. It makes no request and
// runs no command.
func (in LoginInput) loadDefaultConfig(ctx context.Context) (aws.Config, error) {
	options := []func(*awsconfig.LoadOptions) error{
		awsconfig.WithRegion(in.Settings.Registry.Region),
		awsconfig.WithHTTPClient(in.httpClient()),
		awsconfig.WithEndpointCredentialOptions(func(o *endpointcreds.Options) {
			o.HTTPClient = in.httpClient()
		}),
		awsconfig.WithAPIOptions(append(in.apiOptions(), disableRenewal)),
		awsconfig.WithLogger(logging.Nop{}), // a successful get is silent on stderr
	}
	// A profile in the options overrides the keys in the environment. AWS_PROFILE does not.
	if in.Settings.Identity.Profile != "" {
		options = append(options, awsconfig.WithSharedConfigProfile(in.Settings.Identity.Profile))
	}
	if !in.Identity.Explicit {
		options = append(options, awsconfig.WithEC2IMDSClientEnableState(imds.ClientDisabled))
	}
	cfg, err := awsconfig.LoadDefaultConfig(ctx, options...)
	if err != nil {
		return aws.Config{}, in.profileError(ctx, err)
	}
	cfg.Retryer = retryer(ctx, cfg.RetryMode, cfg.RetryMaxAttempts)
	shared := sharedConfig(cfg)
	profile, from := in.profileName()
	if profile != shared.Profile && from == "AWS_DEFAULT_PROFILE" {
		// The SDK ignores a missing profile that AWS_DEFAULT_PROFILE names.
		notExist := awsconfig.SharedConfigProfileNotExistError{Profile: profile}
		return aws.Config{}, in.profileError(ctx, notExist)
	}
	_, _, err = in.endpoints(ctx, cfg)
	return cfg, err
}

// retrieveFromChain returns the credentials of the default chain. For a profile with a sign-in
// session or a credential_process it does not use the SDK's provider directly, for the reasons at
// signIn.retrieve and process. A legacy SSO profile, without sso-session, needs no such handling:
// its token cannot be renewed.
func (in LoginInput) retrieveFromChain(
	ctx context.Context, cfg aws.Config, shared awsconfig.SharedConfig,
) (aws.Credentials, error) {
	var signInSession signIn
	var err error
	base := baseProfile(shared)
	switch {
	case usesSource(cfg, aws.CredentialSourceProfileProcess):
		return in.retrieveFromProcess(ctx, cfg, shared)
	case usesSource(cfg, aws.CredentialSourceProfileSSO):
		signInSession.credentials = cfg.Credentials
		signInSession.file, err = ssocreds.StandardCachedTokenFilepath(base.SSOSession.Name)
	case usesSource(cfg, aws.CredentialSourceProfileLogin):
		signInSession, err = in.consoleSignIn(cfg, base)
	default:
		return cfg.Credentials.Retrieve(ctx)
	}
	if err != nil {
		return aws.Credentials{}, err
	}
	in.Debug("reading the sign-in session in %s", signInSession.file)
	return signInSession.retrieve(ctx)
}

// profileName returns the profile that the SDK uses, and the variable or line that names it; "" for
// the default profile.
func (in LoginInput) profileName() (name, from string) {
	if in.Settings.Identity.Profile != "" {
		return in.Settings.Identity.Profile, in.Settings.Identity.ProfileFrom
	}
	for _, from := range []string{"AWS_PROFILE", "AWS_DEFAULT_PROFILE"} {
		if name := in.Env.Get(from); name != "" {
			return name, from
		}
	}
	return "default", ""
}

// ProfileFiles returns the paths of the AWS configuration file and the AWS credentials file. It
// does not open them.
func ProfileFiles(env token.Env) (configFile, credentialsFile string) {
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

// ambientSource returns "instance" or "container" if the SDK would use the credentials of the
// machine: at the end of the default chain, or for a base profile with credential_source. Otherwise
// it returns "".
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
