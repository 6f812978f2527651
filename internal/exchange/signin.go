package exchange

import (
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
	"github.com/aws/aws-sdk-go-v2/credentials/ssocreds"
	"github.com/aws/aws-sdk-go-v2/service/signin"
	signintypes "github.com/aws/aws-sdk-go-v2/service/signin/types"
	"github.com/aws/aws-sdk-go-v2/service/ssooidc"
	ssooidctypes "github.com/aws/aws-sdk-go-v2/service/ssooidc/types"

	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/lockfile"
)

// How often, and after which pause, the file is looked at again when AWS would not renew its token: the process that
// renewed it just before us has had its answer and has only to write it down.
const (
	looks = 5
	pause = 200 * time.Millisecond
)

// signIn is what "aws sso login" or "aws login" left behind: a file with a token that expires and can be renewed.
type signIn struct {
	file  string
	look  func(context.Context) error // fails when the token is not there or has expired
	renew func(context.Context) error // is look, but has AWS renew an expired token and writes the new one to the file
}

// signIn finds the login whose token the SDK is going to use and would renew by itself. A profile in the form that came
// before sso-session has a token that cannot be renewed, and is none.
func (r Request) signIn(cfg aws.Config, first awsconfig.SharedConfig) (*signIn, error) {
	switch {
	case startsWith(cfg, aws.CredentialSourceProfileSSO):
		return ssoSignIn(cfg, first.SSOSession)
	case startsWith(cfg, aws.CredentialSourceProfileLogin):
		return r.consoleSignIn(cfg, first)
	}
	return nil, nil
}

// ssoSignIn is a login by "aws sso login" to an sso-session.
func ssoSignIn(cfg aws.Config, session *awsconfig.SSOSession) (*signIn, error) {
	file, err := ssocreds.StandardCachedTokenFilepath(session.Name)
	if err != nil {
		return nil, err
	}
	cfg.Region = session.SSORegion
	client := ssooidc.NewFromConfig(cfg)
	token := func(client ssocreds.CreateTokenAPIClient) func(context.Context) error {
		return func(ctx context.Context) error {
			_, err := ssocreds.NewSSOTokenProvider(client, file).RetrieveBearerToken(ctx)
			return err
		}
	}
	return &signIn{file: file, look: token(nobody{}), renew: token(client)}, nil
}

// consoleSignIn is a login by "aws login". Its token can be renewed only in the region that it was made in
// (aws/aws-cli#10613), which is the profile's own: "aws login" asks for one and writes it there. The SDK would ask in
// cfg's region, and that is the registry's.
func (r Request) consoleSignIn(cfg aws.Config, profile awsconfig.SharedConfig) (*signIn, error) {
	file, err := logincreds.StandardCachedTokenFilepath(profile.LoginSession, os.Getenv("AWS_LOGIN_CACHE_DIRECTORY")) // as the SDK reads it
	if err != nil {
		return nil, err
	}
	for _, region := range []string{r.Env.Get("AWS_DEFAULT_REGION"), r.Env.Get("AWS_REGION"), profile.Region} {
		if region != "" {
			cfg.Region = region
		}
	}
	client := signin.NewFromConfig(cfg)
	token := func(client logincreds.TokenAPIClient) func(context.Context) error {
		return func(ctx context.Context) (err error) {
			defer func() {
				if recover() != nil { // the SDK takes the PEM block that is not there for one (logincreds/dpop.go, parseKey)
					err = fmt.Errorf("the key in %s cannot be read", file)
				}
			}()
			_, err = logincreds.New(client, file, func(o *logincreds.Options) {
				o.RestrictPermissions = cfg.RestrictFilePermissions != aws.RestrictFilePermissionsUnrestricted
			}).Retrieve(ctx)
			return err
		}
	}
	return &signIn{file: file, look: token(nobody{}), renew: token(client)}, nil
}

// nobody stands in for AWS where a token is to be looked at and not to be renewed.
type nobody struct{}

var errExpired = errors.New("the token is expired")

func (nobody) CreateToken(context.Context, *ssooidc.CreateTokenInput, ...func(*ssooidc.Options)) (*ssooidc.CreateTokenOutput, error) {
	return nil, errExpired
}

func (nobody) CreateOAuth2Token(context.Context, *signin.CreateOAuth2TokenInput, ...func(*signin.Options)) (*signin.CreateOAuth2TokenOutput, error) {
	return nil, errExpired
}

// fresh returns when the file holds a token that lives; a good one, and one that is past renewing, need no lock. Of
// several processes of ours one renews an expired token, and
// the others wait for it and take what it got: an SSO refresh token is good once, the SDK has no lock, and the spent
// token that a second process sends is answered with InvalidGrantException, as if the person had to log in again. On
// Windows the lock also keeps the SDK's rename from failing because another of us has the file open. The lock dies
// with its process, so that nothing is left to be cleaned up. It is a file of its own, beside the token: text that is
// under a Windows lock cannot be read, and the token's own file is replaced.
//
// Other programs (the AWS CLI, an IDE) do not know the lock. When one of them was faster, its token is there a moment
// after our refusal.
func (s *signIn) fresh(ctx context.Context) error {
	if runtime.GOOS != "windows" { // where a look at the wrong moment is what the rename fails of
		if found := s.look(ctx); !errors.Is(found, errExpired) && !torn(found) {
			return found
		}
	}
	held, err := lockfile.Lock(ctx, s.file+".lock")
	var open *fs.PathError
	switch {
	case err == nil:
		defer held.Unlock()
	case ctx.Err() != nil:
		return err
	case errors.As(err, &open) && open.Op == "open":
		// The SDK could not write the new token either. It would find out with the old one spent, and the person's own
		// login would be gone with it: think of ~/.aws mounted read-only into a container.
		if missed := s.look(ctx); !errors.Is(missed, errExpired) {
			return missed
		}
		return &unrenewable{err}
	} // else the file system knows no locks
	err = s.renew(ctx)
	for i := 0; i < looks && (refused(err) || torn(err)); i++ {
		select {
		case <-ctx.Done():
			return err
		case <-time.After(pause):
		}
		if s.look(ctx) == nil {
			return nil
		}
	}
	return err
}

// unrenewable says that a token has expired and that a new one could not be kept.
type unrenewable struct{ why error }

func (e *unrenewable) Error() string {
	return "the token is expired and cannot be renewed: " + e.why.Error()
}
func (e *unrenewable) Unwrap() error { return e.why }

// refused says whether AWS would not renew a token, in a way that a new login mends: the token was used or revoked, or
// the client's registration has ended (CreateToken, API reference), or, for "aws login", the token is another region's.
func refused(err error) bool {
	var (
		grant        *ssooidctypes.InvalidGrantException
		expired      *ssooidctypes.ExpiredTokenException
		client       *ssooidctypes.InvalidClientException
		unauthorized *ssooidctypes.UnauthorizedClientException
		console      *signintypes.ValidationException
	)
	return errors.As(err, &grant) || errors.As(err, &expired) || errors.As(err, &client) || errors.As(err, &unauthorized) || errors.As(err, &console)
}

// torn says whether a file was read while somebody was writing it, which the SDK does in place for "aws login"
// (logincreds/provider.go, saveToken).
func torn(err error) bool {
	var syntax *json.SyntaxError
	return errors.As(err, &syntax)
}
