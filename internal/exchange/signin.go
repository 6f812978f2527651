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

// rereadDelay is the time between a refused renewal and the last read of the token file.
const rereadDelay = time.Second

// signIn is a sign-in session, created by "aws sso login" or "aws login".
type signIn struct {
	file        string                  // contains a token that expires and can be renewed
	credentials aws.CredentialsProvider // reads file, and renews an expired token
}

// retrieve returns the session's credentials. Several processes may call it at the same time: one
// process renews an expired token and holds a lock, while the others wait and then read the new
// token from the file. The SDK has no such lock. An SSO refresh token is valid once, so AWS would
// refuse the second process, and the user would have to sign in again. A token that has not expired
// is read without the lock, except on Windows, where the SDK cannot replace a file that another
// process has open. retrieve may block until ctx is done.
//
// Other programs (the AWS CLI, an IDE) do not use the lock. When AWS refuses a renewal, retrieve
// reads the file once more after rereadDelay, because another program may have just renewed the
// token.
func (s signIn) retrieve(ctx context.Context) (aws.Credentials, error) {
	if runtime.GOOS != "windows" {
		found, err := s.retrieveWithoutRenewal(ctx)
		if !errors.Is(err, errRenewalNeeded) && !isPartialRead(err) {
			return found, err
		}
	}
	// The lock is not on the token file itself, because the SDK replaces that file.
	lock, err := lockfile.Lock(ctx, s.file+".lock")
	var openErr *fs.PathError
	switch {
	case err == nil:
		defer lock.Unlock()
	case ctx.Err() != nil:
		return aws.Credentials{}, err
	case errors.As(err, &openErr) && openErr.Op == "open":
		// The directory is not writable: ~/.aws may be mounted read-only into a container.
		// The SDK would find that out only after AWS has renewed the token. The new token
		// would be lost, and the user would have to sign in again.
		found, readErr := s.retrieveWithoutRenewal(ctx)
		if errors.Is(readErr, errRenewalNeeded) {
			return aws.Credentials{}, &renewalError{err}
		}
		return found, readErr
	} // otherwise the file system does not support locks; renew without a lock
	found, err := s.credentials.Retrieve(ctx)
	if !renewalRefused(err) && !isPartialRead(err) {
		return found, err
	}
	select {
	case <-ctx.Done():
		return found, err
	case <-time.After(rereadDelay):
	}
	if again, readErr := s.retrieveWithoutRenewal(ctx); readErr == nil {
		return again, nil
	}
	return found, err
}

// retrieveWithoutRenewal returns the credentials of the token in the file. The error is
// errRenewalNeeded when the token has expired and can be renewed.
func (s signIn) retrieveWithoutRenewal(ctx context.Context) (aws.Credentials, error) {
	return s.credentials.Retrieve(context.WithValue(ctx, noRenewalKey{}, true))
}

// errRenewalNeeded is the error of a renewal that noRenewalKey disables.
var errRenewalNeeded = errors.New("the token is expired")

// noRenewalKey is the context key that disables renewals. See disableRenewal.
type noRenewalKey struct{}

// disableRenewal adds middleware that fails a request to renew a token with errRenewalNeeded when
// the context has noRenewalKey. The SDK's providers have no option to read the file without
// renewing the token.
func disableRenewal(stack *middleware.Stack) error {
	if stack.ID() != "CreateToken" && stack.ID() != "CreateOAuth2Token" {
		return nil
	}
	disable := func(
		ctx context.Context, in middleware.InitializeInput, next middleware.InitializeHandler,
	) (out middleware.InitializeOutput, metadata middleware.Metadata, err error) {
		if ctx.Value(noRenewalKey{}) != nil {
			return out, metadata, errRenewalNeeded
		}
		return next.HandleInitialize(ctx, in)
	}
	return stack.Initialize.Add(middleware.InitializeMiddlewareFunc("DisableRenewal", disable),
		middleware.Before)
}

// consoleRegion returns the region of the session of "aws login". Its token can be renewed only in
// the region in which it was created (aws/aws-cli#10613). "aws login" writes that region to the
// profile. The SDK's default chain would use the registry's region.
func (in LoginInput) consoleRegion(cfg aws.Config, profile awsconfig.SharedConfig) string {
	return cmp.Or(
		profile.Region, in.Env.Get("AWS_REGION"), in.Env.Get("AWS_DEFAULT_REGION"), cfg.Region)
}

// consoleSignIn returns the session of "aws login".
func (in LoginInput) consoleSignIn(cfg aws.Config, profile awsconfig.SharedConfig) (signIn, error) {
	file, err := logincreds.StandardCachedTokenFilepath(profile.LoginSession,
		os.Getenv("AWS_LOGIN_CACHE_DIRECTORY"))
	if err != nil {
		return signIn{}, err
	}
	cfg.Region = in.consoleRegion(cfg, profile)
	provider := logincreds.New(signin.NewFromConfig(cfg), file, func(o *logincreds.Options) {
		o.RestrictPermissions = cfg.RestrictFilePermissions != aws.RestrictFilePermissionsUnrestricted
	})
	retrieve := func(ctx context.Context) (found aws.Credentials, err error) {
		defer func() {
			// The SDK panics when the PEM block is missing (logincreds/dpop.go, parseKey).
			if recover() != nil {
				err = fmt.Errorf("the key in %s cannot be read", file)
			}
		}()
		return provider.Retrieve(ctx)
	}
	return signIn{file, aws.CredentialsProviderFunc(retrieve)}, nil
}

// renewalError reports that an expired token was not renewed, because the new token could not be
// written.
type renewalError struct{ why error }

func (e *renewalError) Error() string {
	return "the token is expired and cannot be renewed: " + e.why.Error()
}
func (e *renewalError) Unwrap() error { return e.why }

// renewalRefused reports whether AWS permanently refused to renew a token, so that the user must
// sign in again. The refresh token was used or revoked, the client's registration has expired
// (CreateToken, API reference), or, for "aws login", the token belongs to another region.
func renewalRefused(err error) bool {
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

// isPartialRead reports whether the token file was read while another process wrote it. The SDK
// writes the file of "aws login" in place (logincreds/provider.go, saveToken).
func isPartialRead(err error) bool {
	var syntax *json.SyntaxError
	return errors.As(err, &syntax)
}
