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
	requestTimeout = 6 * time.Second // of one attempt, including its response
	maxResponse    = 1 << 20         // bytes; the longest response, a password, has about 5,000

	firstBackoff = time.Second // longest pause before the second attempt

	// maxBackoff is the longest pause before a later attempt. With longer pauses, jobs that start
	// later would succeed first.
	maxBackoff = 2 * time.Second

	minRetryTime = time.Second // no attempt starts with less time left
	maxAttempts  = 20          // of a throttled request; a get has no time for more
)

// environmentConfig returns an SDK configuration from AWS's standard variables and no file. The SDK
// resolves service-specific endpoints, FIPS and dual-stack from ConfigSources. The global endpoint
// and the retry settings are set here: the SDK sets them only in LoadDefaultConfig, which also
// reads files. Callers must check the endpoints before they send a request.
func (in LoginInput) environmentConfig(ctx context.Context) (aws.Config, error) {
	env, err := awsconfig.NewEnvConfig()
	if err != nil {
		return aws.Config{}, fmt.Errorf("reading AWS's environment variables: %w", err)
	}
	cfg := aws.Config{
		Region:        in.Settings.Registry.Region,
		HTTPClient:    in.httpClient().Freeze(), // otherwise clients do not share connections
		ConfigSources: []any{env},
		Retryer:       retryer(ctx, env.RetryMode, env.RetryMaxAttempts),
		AppID:         env.AppID,
		APIOptions:    in.apiOptions(),
	}
	if env.BaseEndpoint != "" && !aws.ToBool(env.IgnoreConfiguredEndpoints) {
		cfg.BaseEndpoint = aws.String(env.BaseEndpoint)
	}
	return cfg, nil
}

// httpClient returns the SDK's HTTP client with this package's timeout, root certificates,
// preconnected connections and redirect policy. It reads proxies from the environment.
func (in LoginInput) httpClient() *awshttp.BuildableClient {
	client := awshttp.NewBuildableClient().WithTimeout(requestTimeout)
	return client.WithTransportOptions(func(t *http.Transport) {
		t.TLSClientConfig.RootCAs = in.roots
		if in.preconnected != nil {
			t.DialTLSContext = in.preconnected.dial
		}
		proxy := t.Proxy
		t.Proxy = func(req *http.Request) (*url.URL, error) {
			if req.Response != nil { // req follows a redirect
				return nil, errRedirect
			}
			if isMetadataHost(req.URL.Hostname()) {
				return nil, nil
			}
			return proxy(req)
		}
	})
}

// isMetadataHost reports whether host is a link-local address from which a container (ECS, EKS Pod
// Identity) or an instance gets its credentials. These requests must not use a proxy: it would
// receive the container's token unencrypted, and could respond with other credentials. botocore's
// ContainerMetadataFetcher uses no proxy either.
func isMetadataHost(host string) bool {
	return slices.Contains([]string{
		"169.254.169.254", "fd00:ec2::254", "169.254.170.2", "169.254.170.23", "fd00:ec2::23",
	}, host)
}

// errRedirect fails a request that follows a redirect. The SDK's HTTP client follows redirects of
// GET requests to any URL, with the token of an SSO session in a header, and has no option to
// disable that. The transport's Proxy function is called before such a request is sent, and returns
// errRedirect.
var errRedirect = errors.New("redirects are not followed")

// apiOptions returns the middleware for every SDK client, including the clients of the SDK's
// default chain.
func (in LoginInput) apiOptions() []func(*middleware.Stack) error {
	return []func(*middleware.Stack) error{plainBody, limitResponse, in.refuseClearText}
}

// limitResponse fails a response that is longer than maxResponse. smithy-go reads a whole response
// into memory, including error responses (transport/http/protocol/awsjson), and reads unused bodies
// to the end (CloseResponseBody).
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

// errTruncated reports that the connection was closed before the response was complete. net/http
// returns io.ErrUnexpectedEOF for that. encoding/json returns the same error for a complete
// response that contains incomplete JSON, so it cannot be used to tell them apart.
var errTruncated = errors.New("the response was truncated")

// responseBody is a body that returns errTruncated for io.ErrUnexpectedEOF.
type responseBody struct{ io.ReadCloser }

func (b responseBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if errors.Is(err, io.ErrUnexpectedEOF) {
		err = errTruncated
	}
	return n, err
}

// plainBody replaces a request's body with one that has no WriteTo method. smithy-go closes the
// body when the headers of the response arrive. From then on, the WriteTo method of smithy-go's
// body returns io.EOF (transport/http/internal/io/safe.go). If net/http then calls WriteTo to find
// the end of the body, it treats io.EOF as a failed write and closes the connection before the
// response is read. The SDK sends the request again (aws-sdk-go-v2#1825, #2737).
func plainBody(stack *middleware.Stack) error {
	replace := func(
		ctx context.Context, in middleware.BuildInput, next middleware.BuildHandler,
	) (out middleware.BuildOutput, metadata middleware.Metadata, err error) {
		if req, ok := in.Request.(*smithyhttp.Request); ok {
			if body, ok := req.GetStream().(io.ReadSeeker); ok {
				in.Request, err = req.SetStream(struct{ io.ReadSeeker }{body})
				if err != nil {
					return out, metadata, err
				}
			}
		}
		return next.HandleBuild(ctx, in)
	}
	return stack.Build.Add(middleware.BuildMiddlewareFunc("PlainBody", replace), middleware.After)
}

// retryer returns a function that returns the SDK's retryer, with these changes:
//
//   - retryIssuerKeys and retryConnection decide first whether an error is retried. The STS client
//     itself adds IDPCommunicationError.
//   - It retries a throttled request until ctx leaves no time for another attempt, and at most
//     maxAttempts times. The SDK's default of three attempts is too low when many jobs start at the
//     same time (e2e/fleet measures it). Other temporary errors keep the default.
//
// attempts is the user's AWS_MAX_ATTEMPTS or max_attempts. When it is not 0, it limits the attempts
// for all errors.
func retryer(ctx context.Context, mode aws.RetryMode, attempts int) func() aws.Retryer {
	standard := func(o *retry.StandardOptions) {
		o.MaxAttempts, o.Backoff = cmp.Or(attempts, maxAttempts), backoff(ctx, attempts)
		o.Retryables = slices.Concat([]retry.IsErrorRetryable{
			retry.IsErrorRetryableFunc(retryIssuerKeys),
			retry.IsErrorRetryableFunc(retryConnection),
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

// backoff returns the function that computes the pause after a number of failed attempts. When no
// further attempt is made, the function returns the error of the last attempt. Without this, the
// caller would get the error of a pause that ctx interrupts.
func backoff(ctx context.Context, attempts int) retry.BackoffDelayer {
	throttle := retry.IsErrorThrottles(retry.DefaultThrottles)
	end, hasDeadline := ctx.Deadline()
	return retry.BackoffDelayerFunc(func(failed int, err error) (time.Duration, error) {
		maxPause := maxBackoff
		if failed <= 1 {
			maxPause = firstBackoff
		}
		pause := maxPause/2 + rand.N(maxPause/2) // #nosec G404 -- the pause is not a secret
		// Errors other than throttling are retried up to the SDK's default number of attempts, or
		// up to the user's number, which the SDK's retryer enforces.
		retryOthers := attempts > 0 || failed < retry.DefaultMaxAttempts
		noTime := hasDeadline && time.Until(end) < pause+minRetryTime
		if noTime || !retryOthers && !throttle.IsErrorThrottle(err).Bool() {
			return 0, &retry.MaxAttemptsError{Attempt: failed, Err: err}
		}
		return pause, nil
	})
}

// retryConnection reports whether to retry three errors that the SDK classifies differently. The
// SDK does not retry a truncated response, because it treats it as invalid. It retries an untrusted
// certificate and a redirect, because it treats them as failed connections. For other errors the
// result is unknown.
func retryConnection(err error) aws.Ternary {
	var certificate *tls.CertificateVerificationError
	switch {
	case errors.As(err, &certificate), errors.Is(err, errRedirect):
		return aws.FalseTernary
	case errors.Is(err, errTruncated):
		return aws.TrueTernary
	}
	return aws.UnknownTernary
}

// retryIssuerKeys reports that an InvalidIdentityToken error is temporary because AWS could not
// fetch the issuer's keys (aws-actions/configure-aws-credentials#299). For other errors the result
// is unknown.
func retryIssuerKeys(err error) aws.Ternary {
	if api, ok := asAPIError(err); ok && api.ErrorCode() == "InvalidIdentityToken" &&
		strings.Contains(api.ErrorMessage(), "retrieve verification key") {
		return aws.TrueTernary
	}
	return aws.UnknownTernary
}

// seconds returns a duration in seconds; nil for 0, so that the parameter is not sent.
func seconds(d time.Duration) *int32 {
	return optional(int32(d / time.Second)) // #nosec G115 -- at most 12 hours
}

// optional returns a pointer to value, or nil for the zero value, which omits the parameter.
func optional[T comparable](value T) *T {
	var zero T
	if value == zero {
		return nil
	}
	return &value
}

// maxCABundle is the maximum size of the file AWS_CA_BUNDLE in bytes. A system's bundle has about
// 250 KiB.
const maxCABundle = 16 << 20

// CABundle returns the certificates in the file AWS_CA_BUNDLE, which replace the system's, as in
// the SDK. It returns nil when the variable is not set. They also apply to the CI's token endpoint:
// a proxy whose certificate they verify intercepts both.
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
		return nil, errors.New("reading AWS_CA_BUNDLE: no certificate in " + path)
	}
	return roots, nil
}
