package exchange

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"runtime"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsconfig "github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials/logincreds"
	"github.com/aws/aws-sdk-go-v2/service/signin"
	signintypes "github.com/aws/aws-sdk-go-v2/service/signin/types"
	ssooidctypes "github.com/aws/aws-sdk-go-v2/service/ssooidc/types"
	"github.com/aws/smithy-go/middleware"

	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/lockfile"
)

// renewalPause is the time between a refused renewal and the last look at the token's file.
const renewalPause = time.Second

// signIn is the session that "aws sso login" or "aws login" left.
type signIn struct {
	file        string                  // has a token that expires and can be renewed
	credentials aws.CredentialsProvider // reads the file, and renews an expired token
}

// retrieve returns the session's credentials. A token that has not expired needs no lock. An
// expired one is renewed by one process while the others wait; they find the new token in the file.
// The SDK has no such lock, and an SSO refresh token is valid once: AWS would refuse the second
// process, as if the person had to log in again. On Windows every read takes the lock, because the
// SDK cannot replace a file that another process has open.
//
// Other programs (the AWS CLI, an IDE) do not know the lock. After a refusal the file is read once
// more, because one of them may have renewed the token a moment before.
func (s signIn) retrieve(ctx context.Context) (aws.Credentials, error) {
	if runtime.GOOS != "windows" {
		found, err := s.read(ctx)
		if !errors.Is(err, errExpired) && !torn(err) {
			return found, err
		}
	}
	held, err := lockfile.Lock(ctx, s.file+".lock") // beside the token's file, which the SDK replaces
	var open *fs.PathError
	switch {
	case err == nil:
		defer held.Unlock()
	case ctx.Err() != nil:
		return aws.Credentials{}, err
	case errors.As(err, &open) && open.Op == "open":
		// The SDK could not write a new token either, and would notice only after AWS has renewed
		// it. The person's own login would be lost: ~/.aws may be mounted read-only into a
		// container.
		found, expired := s.read(ctx)
		if errors.Is(expired, errExpired) {
			return aws.Credentials{}, &unrenewable{err}
		}
		return found, expired
	} // any other error: the file system has no locks
	found, err := s.credentials.Retrieve(ctx)
	if !refused(err) && !torn(err) {
		return found, err
	}
	select {
	case <-ctx.Done():
		return found, err
	case <-time.After(renewalPause):
	}
	if again, readErr := s.read(ctx); readErr == nil {
		return again, nil
	}
	return found, err
}

// read is retrieve without a renewal. The error is errExpired when one is needed.
func (s signIn) read(ctx context.Context) (aws.Credentials, error) {
	return s.credentials.Retrieve(context.WithValue(ctx, noRenewal{}, true))
}

var errExpired = errors.New("the token is expired")

// noRenewal is the context key that makes refuseRenewal fail a request.
type noRenewal struct{}

// refuseRenewal fails the requests that renew a token with errExpired, where the context says so.
// The SDK's providers cannot be asked to only read the file.
func refuseRenewal(stack *middleware.Stack) error {
	if stack.ID() != "CreateToken" && stack.ID() != "CreateOAuth2Token" {
		return nil
	}
	refuse := func(ctx context.Context, in middleware.InitializeInput, next middleware.InitializeHandler) (
		out middleware.InitializeOutput, metadata middleware.Metadata, err error,
	) {
		if ctx.Value(noRenewal{}) != nil {
			return out, metadata, errExpired
		}
		return next.HandleInitialize(ctx, in)
	}
	return stack.Initialize.Add(middleware.InitializeMiddlewareFunc("RefuseRenewal", refuse),
		middleware.Before)
}

// consoleSignIn returns the session of "aws login". Its token can be renewed only in the region
// that it was made in (aws/aws-cli#10613), which "aws login" writes to the profile. The SDK's own
// chain would use the registry's region.
func (r Request) consoleSignIn(cfg aws.Config, profile awsconfig.SharedConfig) (signIn, error) {
	file, err := logincreds.StandardCachedTokenFilepath(profile.LoginSession,
		os.Getenv("AWS_LOGIN_CACHE_DIRECTORY"))
	if err != nil {
		return signIn{}, err
	}
	cfg.Region = cmp.Or(profile.Region, r.Env.Get("AWS_REGION"), r.Env.Get("AWS_DEFAULT_REGION"),
		cfg.Region)
	provider := logincreds.New(signin.NewFromConfig(cfg), file, func(o *logincreds.Options) {
		o.RestrictPermissions = cfg.RestrictFilePermissions != aws.RestrictFilePermissionsUnrestricted
	})
	retrieve := func(ctx context.Context) (found aws.Credentials, err error) {
		defer func() {
			if recover() != nil { // the SDK does not check for a missing PEM block (logincreds/dpop.go, parseKey)
				err = fmt.Errorf("the key in %s cannot be read", file)
			}
		}()
		return provider.Retrieve(ctx)
	}
	return signIn{file, aws.CredentialsProviderFunc(retrieve)}, nil
}

// unrenewable reports a token that has expired, and that a new one could not be written.
type unrenewable struct{ why error }

func (e *unrenewable) Error() string {
	return "the token is expired and cannot be renewed: " + e.why.Error()
}
func (e *unrenewable) Unwrap() error { return e.why }

// refused reports whether AWS refused to renew a token for good, so that a person has to log in:
// the token was used or revoked, or the client's registration has ended (CreateToken, API
// reference), or, for "aws login", the token belongs to another region.
func refused(err error) bool {
	var (
		grant        *ssooidctypes.InvalidGrantException
		expired      *ssooidctypes.ExpiredTokenException
		client       *ssooidctypes.InvalidClientException
		unauthorized *ssooidctypes.UnauthorizedClientException
		console      *signintypes.ValidationException
	)
	return errors.As(err, &grant) || errors.As(err, &expired) || errors.As(err, &client) ||
		errors.As(err, &unauthorized) || errors.As(err, &console)
}

// torn reports whether a file was read while another process wrote it. The SDK writes that of "aws
// login" in place (logincreds/provider.go, saveToken).
func torn(err error) bool {
	var syntax *json.SyntaxError
	return errors.As(err, &syntax)
}
