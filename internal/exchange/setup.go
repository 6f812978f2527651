package exchange

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	awsconfig "github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/smithy-go"
	"github.com/aws/smithy-go/middleware"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/registry"
)

// oneTry is how long one request to AWS may take, its answer read.
const oneTry = 6 * time.Second

// byHand makes a configuration from the environment's standard variables alone. The SDK resolves the services' own
// endpoints, FIPS and dual-stack from ConfigSources; the general endpoint and the retry settings it copies in
// LoadDefaultConfig, so here we do.
func (r Request) byHand() (aws.Config, error) {
	env, err := awsconfig.NewEnvConfig()
	if err != nil {
		return aws.Config{}, fmt.Errorf("reading AWS's environment variables: %w", err)
	}
	cfg := aws.Config{
		Region:           r.Plan.Registry.Region,
		HTTPClient:       r.client(),
		ConfigSources:    []any{env},
		RetryMode:        env.RetryMode,
		RetryMaxAttempts: env.RetryMaxAttempts,
		AppID:            env.AppID,
		APIOptions:       []func(*middleware.Stack) error{readOnly},
	}
	if env.BaseEndpoint != "" && (env.IgnoreConfiguredEndpoints == nil || !*env.IgnoreConfiguredEndpoints) {
		cfg.BaseEndpoint = aws.String(env.BaseEndpoint)
	}
	cfg.Retryer = retryer(cfg.RetryMode, cfg.RetryMaxAttempts)
	return cfg, nil
}

// client is the SDK's own HTTP client with our limits: proxies come from the environment, one connection is reused.
func (r Request) client() *awshttp.BuildableClient {
	return awshttp.NewBuildableClient().WithTimeout(oneTry).WithTransportOptions(func(t *http.Transport) {
		if r.Roots != nil {
			t.TLSClientConfig.RootCAs = r.Roots
		}
	})
}

// readOnly keeps smithy-go from breaking good answers. Its request body is closed once the answer's headers are there,
// and the body's WriteTo then returns io.EOF (transport/http/internal/io/safe.go); net/http, if it only then looks for
// the body's end, takes that for a failed write and closes the connection under the answer. The caller sees "use of
// closed network connection" and asks AWS a second time (aws-sdk-go-v2#1825, #2737). A body that is a Reader and no
// more has no such fault. It is an API option, so that the clients inside the SDK's own chain have it too.
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
// keys (aws-actions/configure-aws-credentials#299).
func retryer(mode aws.RetryMode, attempts int) func() aws.Retryer {
	standard := func(o *retry.StandardOptions) {
		if attempts > 0 {
			o.MaxAttempts = attempts
		}
		o.Retryables = append([]retry.IsErrorRetryable{retry.IsErrorRetryableFunc(keysNotFetched)}, o.Retryables...)
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

func keysNotFetched(err error) aws.Ternary {
	if api, ok := asAPIError(err); ok && api.ErrorCode() == "InvalidIdentityToken" && couldNotFetchKeys(api) {
		return aws.TrueTernary
	}
	return aws.UnknownTernary
}

func couldNotFetchKeys(api smithy.APIError) bool {
	return strings.Contains(api.ErrorMessage(), "retrieve verification key")
}

// variant makes a service client call what the registry's host asks for. The standard variables can only add to it. A
// custom endpoint stands for itself: the SDK refuses it together with either.
func variant(reg registry.Registry, custom *string, fips *aws.FIPSEndpointState, dualStack *aws.DualStackEndpointState) error {
	if custom != nil {
		*fips, *dualStack = aws.FIPSEndpointStateDisabled, aws.DualStackEndpointStateDisabled
		return nil
	}
	if reg.FIPS {
		*fips = aws.FIPSEndpointStateEnabled
	}
	if reg.DualStack {
		*dualStack = aws.DualStackEndpointStateEnabled
	}
	// ECR has FIPS endpoints in the US regions alone (https://docs.aws.amazon.com/general/latest/gr/ecr.html); the SDK
	// would make up a name for any other, and the person would read of a host that cannot be found.
	if *fips == aws.FIPSEndpointStateEnabled && (reg.Public || !strings.HasPrefix(reg.Region, "us-")) {
		return fmt.Errorf("choosing endpoints for %s: AWS has no FIPS endpoint for it (is AWS_USE_FIPS_ENDPOINT set?)", reg.Host)
	}
	return nil
}
