package exchange

import (
	"cmp"
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
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	awsconfig "github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/smithy-go/middleware"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/token"
)

const (
	requestTimeout = 6 * time.Second // of one request to AWS, including its response
	maxResponse    = 1 << 20         // bytes; the longest response, a password, has about 5,000

	firstBackoff = time.Second     // before the second attempt, at most
	maxBackoff   = 2 * time.Second // later; with a longer one, new jobs would overtake the old
	minRetryTime = time.Second     // an attempt is not begun with less time left
	maxAttempts  = 20              // of a throttled request; a get has no time for more
)

// environmentConfig returns a configuration from AWS's standard variables alone. The SDK resolves
// the services' own endpoints, FIPS and dual-stack from ConfigSources. The general endpoint and the
// retry settings are set here, because only LoadDefaultConfig, which also reads files, would set
// them. The caller checks the endpoints before it sends anything.
func (r Request) environmentConfig(ctx context.Context) (aws.Config, error) {
	env, err := awsconfig.NewEnvConfig()
	if err != nil {
		return aws.Config{}, fmt.Errorf("reading AWS's environment variables: %w", err)
	}
	cfg := aws.Config{
		Region:           r.Settings.Registry.Region,
		HTTPClient:       r.client().Freeze(), // otherwise each service client has its own connections
		ConfigSources:    []any{env},
		RetryMode:        env.RetryMode,
		RetryMaxAttempts: env.RetryMaxAttempts,
		Retryer:          retryer(ctx, env.RetryMode, env.RetryMaxAttempts),
		AppID:            env.AppID,
		APIOptions:       r.apiOptions(),
	}
	if env.BaseEndpoint != "" && !aws.ToBool(env.IgnoreConfiguredEndpoints) {
		cfg.BaseEndpoint = aws.String(env.BaseEndpoint)
	}
	return cfg, nil
}

// client returns the SDK's own HTTP client with the limits of this package. Proxies come from the
// environment.
func (r Request) client() *awshttp.BuildableClient {
	client := awshttp.NewBuildableClient().WithTimeout(requestTimeout)
	return client.WithTransportOptions(func(t *http.Transport) {
		t.TLSClientConfig.RootCAs = r.roots
		if r.preconnected != nil {
			t.DialTLSContext = r.preconnected.dial
		}
		proxy := t.Proxy
		t.Proxy = func(req *http.Request) (*url.URL, error) {
			if req.Response != nil { // the redirect that req follows
				return nil, errRedirect
			}
			if isMetadataHost(req.URL.Hostname()) {
				return nil, nil
			}
			return proxy(req)
		}
	})
}

// isMetadataHost reports whether a host is one of the link-local addresses at which a container
// (ECS, EKS Pod Identity) or an instance gets its credentials. A proxy would receive the
// container's token in clear text, and respond with credentials of its own. botocore's
// ContainerMetadataFetcher uses no proxy either.
func isMetadataHost(host string) bool {
	return slices.Contains([]string{
		"169.254.169.254", "fd00:ec2::254", "169.254.170.2", "169.254.170.23", "fd00:ec2::23",
	}, host)
}

// errRedirect ends a request that follows a redirect. The SDK's HTTP client follows those of GET
// requests to any URL, with the token of an SSO login in a header, and has no option against it.
// But it looks for a proxy first.
var errRedirect = errors.New("it answered with a redirect, which is not followed")

// apiOptions returns the middleware of every SDK client, including those of the SDK's own chain.
func (r Request) apiOptions() []func(*middleware.Stack) error {
	return []func(*middleware.Stack) error{plainBody, limitResponse, r.refuseClearText}
}

// limitResponse ends a response that is longer than maxResponse. smithy-go reads all of a response
// into memory, also of an error (transport/http/protocol/awsjson), and what it does not need it
// reads to the end (CloseResponseBody).
func limitResponse(stack *middleware.Stack) error {
	limit := func(
		ctx context.Context, in middleware.DeserializeInput, next middleware.DeserializeHandler,
	) (middleware.DeserializeOutput, middleware.Metadata, error) {
		out, metadata, err := next.HandleDeserialize(ctx, in)
		if response, ok := out.RawResponse.(*smithyhttp.Response); ok {
			response.Body = http.MaxBytesReader(nil, responseBody{response.Body}, maxResponse)
		}
		return out, metadata, err
	}
	return stack.Deserialize.Add(
		middleware.DeserializeMiddlewareFunc("LimitResponse", limit), middleware.After)
}

// errCutOff reports a response that ended too early because its connection was closed. net/http
// returns io.ErrUnexpectedEOF for that, and so does encoding/json for a complete response with
// incomplete JSON in it.
var errCutOff = errors.New("the answer was cut off")

type responseBody struct{ io.ReadCloser }

func (b responseBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if errors.Is(err, io.ErrUnexpectedEOF) {
		err = errCutOff
	}
	return n, err
}

// plainBody replaces a request's body by one that is only an io.Reader. smithy-go closes its body
// when the response's headers have arrived, and the body's WriteTo then returns io.EOF
// (transport/http/internal/io/safe.go). If net/http looks for the body's end only then, it takes
// that for a failed write and closes the connection before the response is read. The SDK sends the
// request a second time (aws-sdk-go-v2#1825, #2737).
func plainBody(stack *middleware.Stack) error {
	replace := func(
		ctx context.Context, in middleware.BuildInput, next middleware.BuildHandler,
	) (out middleware.BuildOutput, metadata middleware.Metadata, err error) {
		if req, ok := in.Request.(*smithyhttp.Request); ok {
			if body, ok := req.GetStream().(io.ReadSeeker); ok {
				if in.Request, err = req.SetStream(struct{ io.ReadSeeker }{body}); err != nil {
					return out, metadata, err
				}
			}
		}
		return next.HandleBuild(ctx, in)
	}
	return stack.Build.Add(middleware.BuildMiddlewareFunc("PlainBody", replace), middleware.After)
}

// retryer returns the SDK's retryer, which retries temporary errors, and which the STS client
// extends by IDPCommunicationError. It also retries the one temporary InvalidIdentityToken: AWS
// could not fetch the issuer's keys (aws-actions/configure-aws-credentials#299). The SDK's three
// attempts are too few for a throttle, which is not a refusal of this request: jobs of a fleet that
// start together would fail (e2e/fleet shows it). A throttled request is repeated until ctx leaves
// no time, unless attempts, the user's setting, is not 0.
func retryer(ctx context.Context, mode aws.RetryMode, attempts int) func() aws.Retryer {
	standard := func(o *retry.StandardOptions) {
		o.MaxAttempts, o.Backoff = cmp.Or(attempts, maxAttempts), backoff(ctx, attempts)
		o.Retryables = slices.Concat([]retry.IsErrorRetryable{
			retry.IsErrorRetryableFunc(keysNotFetched), retry.IsErrorRetryableFunc(connectionError),
		}, o.Retryables)
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

// backoff returns the pause after a number of failed attempts. Where there is to be no other
// attempt, it returns the error of the last one, and not that of a pause that ctx would cut short.
func backoff(ctx context.Context, attempts int) retry.BackoffDelayer {
	throttle := retry.IsErrorThrottles(retry.DefaultThrottles)
	end, limited := ctx.Deadline()
	return retry.BackoffDelayerFunc(func(failed int, err error) (time.Duration, error) {
		limit := maxBackoff
		if failed <= 1 {
			limit = firstBackoff
		}
		pause := limit/2 + rand.N(limit/2) // #nosec G404 -- the pause is no secret
		usual := attempts > 0 || failed < retry.DefaultMaxAttempts
		noTime := limited && time.Until(end) < pause+minRetryTime
		if noTime || !usual && !throttle.IsErrorThrottle(err).Bool() {
			return 0, &retry.MaxAttemptsError{Attempt: failed, Err: err}
		}
		return pause, nil
	})
}

// connectionError decides about three errors that the SDK classifies wrongly: it takes a response
// that was cut off for an invalid one, and an untrusted certificate or a redirect for a failed
// connection.
func connectionError(err error) aws.Ternary {
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
	if api, ok := asAPIError(err); ok && api.ErrorCode() == "InvalidIdentityToken" &&
		strings.Contains(api.ErrorMessage(), "retrieve verification key") {
		return aws.TrueTernary
	}
	return aws.UnknownTernary
}

// maxCABundle limits AWS_CA_BUNDLE, in bytes. A system's bundle has about 250 KiB.
const maxCABundle = 16 << 20

// CABundle reads AWS_CA_BUNDLE, which replaces the system's certificates, as in the SDK. It returns
// nil when the variable is not set. The CI's token endpoint is requested with it too, because a
// proxy that needs it for AWS needs it there as well.
func CABundle(env token.Env) (*x509.CertPool, error) {
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
