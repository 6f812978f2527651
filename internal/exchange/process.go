package exchange

import (
	"context"
	"errors"
	"os/exec"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsconfig "github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials/processcreds"
	"github.com/aws/aws-sdk-go-v2/credentials/stscreds"
	"github.com/aws/aws-sdk-go-v2/service/sts"

	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/safetext"
)

const (
	processTimeout   = 12 * time.Second // the SDK's default, a minute, exceeds BuildKit's timeout
	maxProcessOutput = 64 << 10         // bytes; credentials have about 2,000
)

// process runs a profile's credential_process, and assumes the roles of the profiles whose
// source_profile is that profile, like the SDK (config/resolve_credentials.go,
// resolveCredsFromProfile). It replaces the SDK's implementation for these reasons:
//
//   - The helper's stderr must stay empty when a get succeeds. The SDK passes it to the command.
//   - The helper's stdin contains the client's request. The SDK passes it to the command.
//   - The SDK keeps all output of the command in memory.
//   - The SDK waits forever for a child of the command that keeps stdout open.
type process struct {
	profile awsconfig.SharedConfig // the profile that has the command
	stdout  outputCounter
	stderr  tailBuffer
}

// retrieveFromProcess returns the credentials of a profile whose base profile has a
// credential_process.
func (in LoginInput) retrieveFromProcess(
	ctx context.Context, cfg aws.Config, profile awsconfig.SharedConfig,
) (aws.Credentials, error) {
	p := process{profile: baseProfile(profile)}
	found, err := p.provider(cfg, profile).Retrieve(ctx)
	if failed := p.processError(err, in.Env.Secrets()); failed != nil {
		return aws.Credentials{}, failed
	}
	return found, err
}

// provider returns the credentials provider of a profile that is p.profile, or has it as
// source_profile, directly or through other profiles.
func (p *process) provider(cfg aws.Config, profile awsconfig.SharedConfig) aws.CredentialsProvider {
	if profile.Source != nil {
		cfg.Credentials = p.provider(cfg, *profile.Source)
	} else {
		command := processcreds.NewCommandBuilderFunc(p.command)
		cfg.Credentials = processcreds.NewProviderCommand(command, func(o *processcreds.Options) {
			o.Timeout = processTimeout
		})
	}
	if profile.RoleARN == "" {
		return cfg.Credentials
	}
	client := sts.NewFromConfig(cfg)
	return stscreds.NewAssumeRoleProvider(client, profile.RoleARN, func(o *stscreds.AssumeRoleOptions) {
		o.RoleSessionName = profile.RoleSessionName
		if profile.ExternalID != "" {
			o.ExternalID = aws.String(profile.ExternalID)
		}
		if profile.RoleDurationSeconds != nil {
			o.Duration = *profile.RoleDurationSeconds
		}
	})
}

// command returns the command to run. It is a processcreds.NewCommandBuilder.
func (p *process) command(ctx context.Context) (*exec.Cmd, error) {
	builder := processcreds.DefaultNewCommandBuilder{Args: []string{p.profile.CredentialProcess}}
	cmd, err := builder.NewCommand(ctx)
	if err != nil {
		return nil, err
	}
	cmd.Stdin, cmd.Stdout, cmd.Stderr = nil, &p.stdout, &p.stderr
	cmd.WaitDelay = time.Second
	return cmd, nil
}

// ProcessError reports that a profile's credential_process returned no credentials. It contains the
// last line of the command's stderr, redacted. It does not contain its stdout, which may include
// part of a key.
type ProcessError struct {
	Profile string
	Why     string
}

func (e *ProcessError) Error() string {
	return "finding AWS credentials: the credential_process of profile " +
		quoteProfile(e.Profile) + " " + e.Why
}

// processError returns a *ProcessError for an error of the command. It returns nil for any other
// error and for nil. secrets are redacted.
func (p *process) processError(err error, secrets []string) error {
	var (
		provider *processcreds.ProviderError
		exit     *exec.ExitError
		why      string
	)
	switch {
	case !errors.As(err, &provider):
		return nil
	case strings.HasPrefix(provider.Err.Error(), "credential process timed out"),
		errors.Is(err, exec.ErrWaitDelay):
		why = "did not finish within " + processTimeout.String()
	// The SDK's error text contains the whole output after "parse failed".
	case p.stdout > maxProcessOutput, strings.HasPrefix(provider.Err.Error(), "parse failed"):
		why = "did not print valid credentials"
	case errors.As(err, &exit):
		why = "failed: " + exit.String()
	default: // "missing AccessKeyId in process output", and so on
		why = "failed: " + provider.Err.Error()
	}
	if line := p.stderr.lastLine(); line != "" {
		why += ": " + safetext.Sanitize(safetext.Redact(line, secrets...))
	}
	return &ProcessError{Profile: p.profile.Profile, Why: why}
}

// tailBuffer is an io.Writer that keeps the last 64 KiB. The last line must be complete, because a
// secret that is cut off cannot be redacted.
type tailBuffer []byte

func (t *tailBuffer) Write(b []byte) (int, error) {
	*t = append(*t, b...)
	if extra := len(*t) - 64<<10; extra > 0 {
		*t = append((*t)[:0], (*t)[extra:]...)
	}
	return len(b), nil
}

// lastLine returns the last line that is not empty.
func (t tailBuffer) lastLine() string {
	lines := strings.Split(strings.TrimSpace(string(t)), "\n")
	return strings.TrimSpace(lines[len(lines)-1])
}

// outputCounter is an io.Writer that counts bytes and returns an error after maxProcessOutput. It
// keeps none of them.
type outputCounter int

func (n *outputCounter) Write(b []byte) (int, error) {
	if *n += outputCounter(len(b)); *n > maxProcessOutput {
		return 0, errors.New("too much output")
	}
	return len(b), nil
}
