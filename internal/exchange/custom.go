package exchange

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	"github.com/aws/smithy-go/middleware"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/oneline"
	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/token"
)

// EndpointError reports a custom endpoint that must not be called, because a token or a signed
// request would cross the network in clear text, or that is not a URL.
type EndpointError struct {
	Service  string // the SDK's name of the service
	Endpoint string // scheme and host; empty when the endpoint is not a URL
	From     string // the variable or file that sets the endpoint
}

func (e *EndpointError) Error() string {
	what := oneline.Clean(e.From) + " is not a valid URL"
	if e.Endpoint != "" {
		what = oneline.Clean(e.Endpoint) + " (from " + oneline.Clean(e.From) + ") must be an https URL"
	}
	return "checking the endpoint of " + e.Service + ": " + what
}

// checkEndpoint returns an *EndpointError for an endpoint of a service that must not be called.
func (r Request) checkEndpoint(service, endpoint string) error {
	u, err := token.ParseEndpoint(endpoint)
	switch {
	case err == nil, errors.Is(err, token.ErrClearText) && u.Scheme == "http" && r.Plan.HTTPEndpoints:
		return nil
	case u == nil:
		return &EndpointError{Service: service, From: r.endpointFrom(service)}
	}
	return &EndpointError{Service: service, Endpoint: u.Scheme + "://" + u.Host, From: r.endpointFrom(service)}
}

// checkEndpoints checks the custom endpoints that Get calls itself. It makes no request. For the
// clients that the SDK makes in its own chain there is refuseClearText.
func (r Request) checkEndpoints(cfg aws.Config) error {
	if len(r.Plan.Roles) > 0 {
		if _, err := r.sts(cfg); err != nil {
			return err
		}
	}
	if r.Plan.Registry.Public {
		_, err := r.ecrPublic(cfg)
		return err
	}
	_, err := r.ecr(cfg)
	return err
}

// endpointFrom names the setting of a service's custom endpoint, in the SDK's order.
func (r Request) endpointFrom(service string) string {
	own := "AWS_ENDPOINT_URL_" + strings.ToUpper(strings.ReplaceAll(service, " ", "_"))
	for _, name := range []string{own, "AWS_ENDPOINT_URL"} {
		if value, _ := r.Env(name); value != "" {
			return name
		}
	}
	profile, _ := r.profile()
	file, _ := Files(r.Env)
	return fmt.Sprintf("endpoint_url of profile %s in %s", quoted(profile), file)
}

// metadataOperations are the operations by which the SDK gets a container's credentials
// (credentials/endpointcreds) and an instance's (feature/ec2/imds). Their clients have no service
// ID.
var metadataOperations = []string{"GetCredentials", "GetToken", "GetMetadata"}

// refuseClearText fails each request that would cross the network in clear text, before it is sent.
// It is in every client of the SDK, those of its own chain included. The endpoints that give a
// container or an instance its credentials are served by http, and are exempt: for a container the
// SDK allows only loopback and the addresses of ECS and EKS.
func (r Request) refuseClearText(stack *middleware.Stack) error {
	exempt := slices.Contains(metadataOperations, stack.ID())
	refuse := func(ctx context.Context, in middleware.DeserializeInput, next middleware.DeserializeHandler) (
		out middleware.DeserializeOutput, metadata middleware.Metadata, err error,
	) {
		if service := awsmiddleware.GetServiceID(ctx); service != "" || !exempt {
			req, ok := in.Request.(*smithyhttp.Request)
			if !ok {
				return out, metadata, fmt.Errorf("unknown transport %T", in.Request)
			}
			if err := r.checkEndpoint(service, req.URL.String()); err != nil {
				return out, metadata, err
			}
		}
		return next.HandleDeserialize(ctx, in)
	}
	return stack.Deserialize.Add(middleware.DeserializeMiddlewareFunc("RefuseClearText", refuse), middleware.After)
}
