package exchange

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsconfig "github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials/ec2rolecreds"
	"github.com/aws/aws-sdk-go-v2/credentials/endpointcreds"
	"github.com/aws/aws-sdk-go-v2/credentials/ssocreds"
	"github.com/aws/aws-sdk-go-v2/feature/ec2/imds"
	ssotypes "github.com/aws/aws-sdk-go-v2/service/sso/types"
	ssooidctypes "github.com/aws/aws-sdk-go-v2/service/ssooidc/types"
	"github.com/aws/smithy-go/logging"
	"github.com/aws/smithy-go/middleware"

	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/oneline"
)

// keys are the environment's access keys and nothing else.
func (r Request) keys() (aws.Credentials, error) {
	secret := r.Env.Get("AWS_SECRET_ACCESS_KEY")
	if secret == "" {
		return aws.Credentials{}, fmt.Errorf("reading AWS credentials: AWS_ACCESS_KEY_ID is set, but %s", r.Env.Without("AWS_SECRET_ACCESS_KEY"))
	}
	return aws.Credentials{AccessKeyID: r.Env.Get("AWS_ACCESS_KEY_ID"), SecretAccessKey: secret, SessionToken: r.Env.Get("AWS_SESSION_TOKEN")}, nil
}

// bySDK is the SDK's own chain: environment keys, profile, SSO, credential_process. Its last links, the container's
// and the instance's credentials, are used only when the user chose the "aws" source by name: a process that lost its
// job's variables (sudo, env -i, a nested container) must not turn into the machine that it runs on.
func (r Request) bySDK(ctx context.Context) (aws.Config, aws.Credentials, error) {
	options := []func(*awsconfig.LoadOptions) error{
		awsconfig.WithRegion(r.Plan.Registry.Region),
		awsconfig.WithHTTPClient(r.client()),
		awsconfig.WithAPIOptions([]func(*middleware.Stack) error{readOnly}),
		awsconfig.WithLogger(logging.Nop{}), // a successful get is silent on stderr
	}
	if r.Plan.Choice.Profile != "" { // and only then: a profile named in code beats environment keys
		options = append(options, awsconfig.WithSharedConfigProfile(r.Plan.Choice.Profile))
	}
	if !r.Source.Chosen {
		options = append(options, awsconfig.WithEC2IMDSClientEnableState(imds.ClientDisabled))
	}
	cfg, err := awsconfig.LoadDefaultConfig(ctx, options...)
	if err != nil {
		return aws.Config{}, aws.Credentials{}, fmt.Errorf("loading AWS's configuration: %w", err)
	}
	cfg.Retryer = retryer(cfg.RetryMode, cfg.RetryMaxAttempts)
	shared := sharedConfig(cfg)
	machine := ambient(cfg, shared)
	if machine != "" && !r.Source.Chosen {
		return aws.Config{}, aws.Credentials{}, &NoCredentialsError{Profile: shared.Profile, Ambient: machine}
	}
	r.Debug("asking the AWS SDK's chain for credentials, profile %q", shared.Profile)
	found, err := cfg.Credentials.Retrieve(ctx)
	switch {
	case err != nil && machine != "":
		return aws.Config{}, aws.Credentials{}, &NoCredentialsError{Profile: shared.Profile, Ambient: machine, Why: reason(err)}
	case err != nil:
		return aws.Config{}, aws.Credentials{}, noCredentials(shared, err)
	}
	return cfg, found, nil
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

// ambient says whether the credentials are the machine's: because the chain ended there, or because the profile, or
// one that it builds on, says so.
func ambient(cfg aws.Config, shared awsconfig.SharedConfig) string {
	switch {
	case aws.IsCredentialsProvider(cfg.Credentials, (*endpointcreds.Provider)(nil)):
		return "container"
	case aws.IsCredentialsProvider(cfg.Credentials, (*ec2rolecreds.Provider)(nil)):
		return "instance"
	}
	for s := &shared; s != nil; s = s.Source {
		switch s.CredentialSource {
		case "EcsContainer":
			return "container"
		case "Ec2InstanceMetadata":
			return "instance"
		}
	}
	return ""
}

// noCredentials says what a person has to do about a chain that gave nothing. The SDK has no one type for a login that
// has expired: its providers return five different errors for it, two of them mere text (credentials/ssocreds, logincreds).
func noCredentials(shared awsconfig.SharedConfig, err error) error {
	profile, sso, login := shared.Profile, false, false
	for s := &shared; s != nil; s = s.Source {
		sso = sso || s.SSOSession != nil || s.SSOStartURL != ""
		login = login || s.LoginSession != ""
		if sso || login {
			profile = s.Profile
			break
		}
	}
	var (
		invalid      *ssocreds.InvalidTokenError
		grant        *ssooidctypes.InvalidGrantException
		unauthorized *ssotypes.UnauthorizedException
		path         *fs.PathError
	)
	expired := errors.As(err, &invalid) || errors.As(err, &grant) || errors.As(err, &unauthorized) || errors.As(err, &path) ||
		strings.Contains(err.Error(), "token is expired") || strings.Contains(err.Error(), "please reauthenticate")
	switch {
	case sso && expired:
		return &SSOError{Profile: profile, Command: "aws sso login", Err: err}
	case login && expired:
		return &SSOError{Profile: profile, Command: "aws login", Err: err}
	}
	if api, ok := asAPIError(err); ok {
		return fmt.Errorf("finding AWS credentials in profile %q: %s: %s", shared.Profile, oneline.Clean(api.ErrorCode()), oneline.Clean(api.ErrorMessage()))
	}
	return fmt.Errorf("finding AWS credentials in profile %q: %s", shared.Profile, oneline.Clean(reason(err)))
}
