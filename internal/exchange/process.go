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
	processTTL    = 15 * time.Second // the SDK's minute is longer than BuildKit waits
	processOutput = 64 << 10         // bytes; credentials are about two thousand
)

// process runs a profile's credential_process, and assumes the roles of the profiles that build on
// it, as the SDK does (config/resolve_credentials.go, resolveCredsFromProfile). But the SDK passes
// on the helper's stderr, which has to stay empty when a get succeeds, and its stdin, which has the
// client's request. It also keeps all output of the command, and waits forever for a child of the
// command that holds its stdout open.
type process struct {
	profile awsconfig.SharedConfig // the one that the command is in
	printed limit                  // on stdout
	said    tail                   // on stderr
}

func (r Request) retrieveFromProcess(
	ctx context.Context, cfg aws.Config, profile awsconfig.SharedConfig,
) (aws.Credentials, error) {
	p := process{profile: first(profile)}
	found, err := p.provider(cfg, profile).Retrieve(ctx)
	if failed := p.failed(err, r.Env.Secrets()); failed != nil {
		return aws.Credentials{}, failed
	}
	return found, err
}

// provider returns the provider of a profile that is p's or builds on it.
func (p *process) provider(cfg aws.Config, profile awsconfig.SharedConfig) aws.CredentialsProvider {
	if profile.Source != nil {
		cfg.Credentials = p.provider(cfg, *profile.Source)
	} else {
		command := processcreds.NewCommandBuilderFunc(p.command)
		cfg.Credentials = processcreds.NewProviderCommand(command, func(o *processcreds.Options) {
			o.Timeout = processTTL
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

func (p *process) command(ctx context.Context) (*exec.Cmd, error) {
	builder := processcreds.DefaultNewCommandBuilder{Args: []string{p.profile.CredentialProcess}}
	cmd, err := builder.NewCommand(ctx)
	if err != nil {
		return nil, err
	}
	cmd.Stdin, cmd.Stdout, cmd.Stderr = nil, &p.printed, &p.said
	cmd.WaitDelay = time.Second
	return cmd, nil
}

// ProcessError reports that a profile's credential_process gave no credentials. It does not contain
// the command's output, which may have a part of a key.
type ProcessError struct {
	Profile string
	Why     string
}

func (e *ProcessError) Error() string {
	return "finding AWS credentials: the credential_process of profile " + quoted(e.Profile) + " " + e.Why
}

// failed returns a *ProcessError for an error of the command, without the secrets, and nil for any other.
func (p *process) failed(err error, secrets []string) error {
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
		why = "was not done within " + processTTL.String()
	// The SDK's text has the whole output after "parse failed".
	case p.printed > processOutput, strings.HasPrefix(provider.Err.Error(), "parse failed"):
		why = "printed something that is not credentials"
	case errors.As(err, &exit):
		why = "failed: " + exit.String()
	default: // "missing AccessKeyId in process output", and so on
		why = "failed: " + provider.Err.Error()
	}
	if said := p.said.last(); said != "" {
		why += ": " + safetext.Sanitize(safetext.Redact(said, secrets...))
	}
	return &ProcessError{Profile: p.profile.Profile, Why: why}
}

// tail keeps the last 64 KiB of what is written to it: its last line must be whole, or no secret
// could be found in it.
type tail []byte

func (t *tail) Write(b []byte) (int, error) {
	*t = append(*t, b...)
	if extra := len(*t) - 64<<10; extra > 0 {
		*t = append((*t)[:0], (*t)[extra:]...)
	}
	return len(b), nil
}

// last returns the last line that is not empty.
func (t tail) last() string {
	lines := strings.Split(strings.TrimSpace(string(t)), "\n")
	return strings.TrimSpace(lines[len(lines)-1])
}

// limit counts what is written to it, and fails past processOutput.
type limit int

func (n *limit) Write(b []byte) (int, error) {
	if *n += limit(len(b)); *n > processOutput {
		return 0, errors.New("too much output")
	}
	return len(b), nil
}
