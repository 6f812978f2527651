package exchange

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	awsconfig "github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/smithy-go"
	"github.com/aws/smithy-go/middleware"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/token"
)

const (
	oneTry   = 6 * time.Second // for one request to AWS, its answer read
	maxReply = 1 << 20         // bytes of an answer; the longest, a password, has some five thousand

	firstWait = time.Second     // before the second try, at most
	lastWait  = 2 * time.Second // before any other, at most: were it more, newcomers would overtake who has waited longest
	enough    = time.Second     // for one more try, which is not begun with less
	tries     = 20              // of what is throttled, at most; a get has no time for more
)

// environmentConfig returns a configuration from AWS's standard variables alone. The SDK resolves the services' own
// endpoints, FIPS and dual-stack from ConfigSources; it copies the general endpoint and the retry settings in
// LoadDefaultConfig, so they are copied here.
func (r Request) environmentConfig(ctx context.Context) (aws.Config, error) {
	env, err := awsconfig.NewEnvConfig()
	if err != nil {
		return aws.Config{}, fmt.Errorf("reading AWS's environment variables: %w", err)
	}
	cfg := aws.Config{
		Region:           r.Settings.Registry.Region,
		HTTPClient:       r.client().Freeze(), // else each service client has connections of its own
		ConfigSources:    []any{env},
		RetryMode:        env.RetryMode,
		RetryMaxAttempts: env.RetryMaxAttempts,
		AppID:            env.AppID,
		APIOptions:       r.apiOptions(),
	}
	if env.BaseEndpoint != "" && (env.IgnoreConfiguredEndpoints == nil || !*env.IgnoreConfiguredEndpoints) {
		cfg.BaseEndpoint = aws.String(env.BaseEndpoint)
	}
	cfg.Retryer = retryer(ctx, cfg.RetryMode, cfg.RetryMaxAttempts)
	return cfg, nil
}

// client is the SDK's own HTTP client with our limits: proxies come from the environment, one connection is reused.
func (r Request) client() *awshttp.BuildableClient {
	return awshttp.NewBuildableClient().WithTimeout(oneTry).WithTransportOptions(func(t *http.Transport) {
		if r.roots != nil {
			t.TLSClientConfig.RootCAs = r.roots
		}
		if r.preconnected != nil {
			t.DialTLSContext = r.preconnected.dial
		}
		proxy := t.Proxy
		t.Proxy = func(req *http.Request) (*url.URL, error) {
			if req.Response != nil { // the redirect that req follows
				return nil, errRedirect
			}
			return proxy(req)
		}
	})
}

// errRedirect ends a request that follows a redirect. The SDK's HTTP client follows those of GET
// requests to any URL, with the token of an SSO login in a header, and cannot be told not to; but
// it asks for a proxy first.
var errRedirect = errors.New("it answered with a redirect, which is not followed")

// apiOptions are what smithy-go has to be kept from, also in the clients that the SDK's own chain makes.
func (r Request) apiOptions() []func(*middleware.Stack) error {
	return []func(*middleware.Stack) error{readOnly, bounded, r.refuseClearText}
}

// bounded ends an answer that is too long. smithy-go reads all that it is sent into memory, an error's body too
// (transport/http/protocol/awsjson), and what it does not need it reads to the end (CloseResponseBody): by the
// gigabyte, in the time that one try has.
func bounded(stack *middleware.Stack) error {
	return stack.Deserialize.Add(middleware.DeserializeMiddlewareFunc("BoundedBody", func(ctx context.Context, in middleware.DeserializeInput, next middleware.DeserializeHandler) (middleware.DeserializeOutput, middleware.Metadata, error) {
		out, metadata, err := next.HandleDeserialize(ctx, in)
		if answer, ok := out.RawResponse.(*smithyhttp.Response); ok {
			answer.Body = http.MaxBytesReader(nil, wire{answer.Body}, maxReply)
		}
		return out, metadata, err
	}), middleware.After)
}

// errCutOff is what a connection that was closed too early says of an answer. net/http's word for it is encoding/json's,
// too, for a text that ends too early, however complete it came.
var errCutOff = errors.New("the answer was cut off")

// wire is an answer's body as it comes.
type wire struct{ io.ReadCloser }

func (w wire) Read(p []byte) (int, error) {
	n, err := w.ReadCloser.Read(p)
	if errors.Is(err, io.ErrUnexpectedEOF) {
		err = errCutOff
	}
	return n, err
}

// readOnly keeps smithy-go from breaking good answers. Its request body is closed once the answer's headers are there,
// and the body's WriteTo then returns io.EOF (transport/http/internal/io/safe.go); net/http, if it only then looks for
// the body's end, takes that for a failed write and closes the connection under the answer. The caller sees "use of
// closed network connection" and asks AWS a second time (aws-sdk-go-v2#1825, #2737). A body that is a Reader and no
// more has no such fault.
func readOnly(stack *middleware.Stack) error {
	return stack.Build.Add(middleware.BuildMiddlewareFunc("ReadOnlyBody", func(ctx context.Context, in middleware.BuildInput, next middleware.BuildHandler) (middleware.BuildOutput, middleware.Metadata, error) {
		if req, ok := in.Request.(*smithyhttp.Request); ok {
			if body, ok := req.GetStream().(io.ReadSeeker); ok {
				plain, err := req.SetStream(struct{ io.ReadSeeker }{body})
				if err != nil {
					return middleware.BuildOutput{}, middleware.Metadata{}, err
				}
				in.Request = plain
			}
		}
		return next.HandleBuild(ctx, in)
	}), middleware.After)
}

// retryer is the SDK's, which tries passing faults again and says the others at once, and which the STS client extends
// by IDPCommunicationError; to that we add the one InvalidIdentityToken that passes: AWS could not fetch the issuer's
// keys (aws-actions/configure-aws-credentials#299). Its three tries are too few for a throttle, which says nothing of
// this request: jobs of a fleet that start together would fail (e2e/fleet shows it). That is tried again for as long as
// ctx leaves time, unless the user has said how often.
func retryer(ctx context.Context, mode aws.RetryMode, attempts int) func() aws.Retryer {
	standard := func(o *retry.StandardOptions) {
		o.MaxAttempts, o.Backoff = attempts, backoff(ctx, attempts)
		if attempts == 0 {
			o.MaxAttempts = tries
		}
		o.Retryables = append([]retry.IsErrorRetryable{retry.IsErrorRetryableFunc(keysNotFetched), retry.IsErrorRetryableFunc(onTheWire)}, o.Retryables...)
	}
	return func() aws.Retryer {
		if mode == aws.RetryModeAdaptive {
			return retry.NewAdaptiveMode(func(o *retry.AdaptiveModeOptions) {
				o.StandardOptions = append(o.StandardOptions, standard)
			})
		}
		return retry.NewStandard(standard)
	}
}

// backoff says how long to wait after so many tries, or that there is to be no other: then the error is the last try's,
// and not that of a wait which ctx cut short.
func backoff(ctx context.Context, attempts int) retry.BackoffDelayer {
	throttle := retry.IsErrorThrottles(retry.DefaultThrottles)
	end, limited := ctx.Deadline()
	return retry.BackoffDelayerFunc(func(tried int, err error) (time.Duration, error) {
		most := lastWait
		if tried <= 1 {
			most = firstWait
		}
		wait := most/2 + rand.N(most/2) // #nosec G404 -- it is no secret how long we wait
		usual := attempts > 0 || tried < retry.DefaultMaxAttempts
		if !usual && !throttle.IsErrorThrottle(err).Bool() || limited && time.Until(end) < wait+enough {
			return 0, &retry.MaxAttemptsError{Attempt: tried, Err: err}
		}
		return wait, nil
	})
}

// onTheWire knows three faults of a connection better than the SDK does: it takes an answer that
// was cut off for one that AWS meant, and a certificate that is not AWS's, or a redirect, for a
// connection that failed.
func onTheWire(err error) aws.Ternary {
	var certificate *tls.CertificateVerificationError
	switch {
	case errors.As(err, &certificate), errors.Is(err, errRedirect):
		return aws.FalseTernary
	case errors.Is(err, errCutOff):
		return aws.TrueTernary
	}
	return aws.UnknownTernary
}

func keysNotFetched(err error) aws.Ternary {
	if api, ok := asAPIError(err); ok && api.ErrorCode() == "InvalidIdentityToken" && couldNotFetchKeys(api) {
		return aws.TrueTernary
	}
	return aws.UnknownTernary
}

func couldNotFetchKeys(api smithy.APIError) bool {
	return strings.Contains(api.ErrorMessage(), "retrieve verification key")
}

// maxCABundle is the most that is read of AWS_CA_BUNDLE, in bytes. A system's bundle has about 250 KiB.
const maxCABundle = 16 << 20

// caBundle reads AWS_CA_BUNDLE, which replaces the system's certificates, as it does for the SDK; nil when it is unset.
// The CI's token endpoint is requested with it too: a proxy that needs it for AWS needs it for that.
func caBundle(env token.Env) (*x509.CertPool, error) {
	path := env.Get("AWS_CA_BUNDLE")
	if path == "" {
		return nil, nil
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("reading AWS_CA_BUNDLE: %w", err)
	}
	defer f.Close()
	pem, err := io.ReadAll(io.LimitReader(f, maxCABundle+1))
	if err != nil {
		return nil, fmt.Errorf("reading AWS_CA_BUNDLE: %w", err)
	}
	if len(pem) > maxCABundle {
		return nil, fmt.Errorf("reading AWS_CA_BUNDLE: it is larger than %d MiB", maxCABundle>>20)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(pem) {
		return nil, errors.New("reading AWS_CA_BUNDLE: there is no certificate in " + path)
	}
	return roots, nil
}
