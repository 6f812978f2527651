package exchange

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	"github.com/aws/aws-sdk-go-v2/service/ecr"
	"github.com/aws/aws-sdk-go-v2/service/ecrpublic"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	smithyendpoints "github.com/aws/smithy-go/endpoints"
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
	case err == nil, errors.Is(err, token.ErrClearText) && u.Scheme == "http" && r.Settings.HTTPEndpoints:
		return nil
	case u == nil:
		return &EndpointError{Service: service, From: r.endpointFrom(service)}
	}
	return &EndpointError{Service: service, Endpoint: u.Scheme + "://" + u.Host, From: r.endpointFrom(service)}
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

// Endpoints returns the URLs of STS and ECR that Login would request; STS's is "" when there is no role to assume. It makes
// no request. The error is *EndpointError or names the setting that is wrong.
func Endpoints(ctx context.Context, r Request) (sts, ecr string, err error) {
	if r.roots, err = caBundle(r.Env); err != nil { // before the SDK reads all of it
		return "", "", err
	}
	cfg, err := r.environmentConfig(ctx)
	if !r.Identity.OIDC() && !r.Identity.KeysOnly {
		cfg, err = r.load(ctx)
	}
	if err != nil {
		return "", "", err
	}
	return r.endpoints(ctx, cfg)
}

// endpoints resolves the endpoints of the clients that login uses, with the SDK's own resolvers.
func (r Request) endpoints(ctx context.Context, cfg aws.Config) (stsURL, ecrURL string, err error) {
	var resolved smithyendpoints.Endpoint
	if len(r.Roles.ARNs) > 0 {
		client, err := r.sts(cfg)
		if err != nil {
			return "", "", err
		}
		o := client.Options()
		resolved, err = sts.NewDefaultEndpointResolverV2().ResolveEndpoint(ctx, sts.EndpointParameters{
			Region: &o.Region, Endpoint: o.BaseEndpoint, UseFIPS: fips(o.EndpointOptions.UseFIPSEndpoint), UseDualStack: dualStack(o.EndpointOptions.UseDualStackEndpoint),
		})
		if err != nil {
			return "", "", fmt.Errorf("resolving the endpoint of STS: %w", err)
		}
		stsURL = withoutSecrets(resolved.URI)
	}
	if r.Settings.Registry.Public {
		client, err := r.ecrPublic(cfg)
		if err != nil {
			return "", "", err
		}
		o := client.Options()
		resolved, err = ecrpublic.NewDefaultEndpointResolverV2().ResolveEndpoint(ctx, ecrpublic.EndpointParameters{
			Region: &o.Region, Endpoint: o.BaseEndpoint, UseFIPS: fips(o.EndpointOptions.UseFIPSEndpoint), UseDualStack: dualStack(o.EndpointOptions.UseDualStackEndpoint),
		})
		if err != nil {
			return "", "", fmt.Errorf("resolving the endpoint of ECR Public: %w", err)
		}
		return stsURL, withoutSecrets(resolved.URI), nil
	}
	client, err := r.ecr(cfg)
	if err != nil {
		return "", "", err
	}
	o := client.Options()
	resolved, err = ecr.NewDefaultEndpointResolverV2().ResolveEndpoint(ctx, ecr.EndpointParameters{
		Region: &o.Region, Endpoint: o.BaseEndpoint, UseFIPS: fips(o.EndpointOptions.UseFIPSEndpoint), UseDualStack: dualStack(o.EndpointOptions.UseDualStackEndpoint),
	})
	if err != nil {
		return "", "", fmt.Errorf("resolving the endpoint of ECR: %w", err)
	}
	return stsURL, withoutSecrets(resolved.URI), nil
}

func fips(s aws.FIPSEndpointState) *bool { return aws.Bool(s == aws.FIPSEndpointStateEnabled) }

func dualStack(s aws.DualStackEndpointState) *bool {
	return aws.Bool(s == aws.DualStackEndpointStateEnabled)
}

// withoutSecrets returns a URL without user, password and query, and with the "/" that is requested when it has no path.
func withoutSecrets(u url.URL) string {
	u.User, u.RawQuery = nil, ""
	if u.Path == "" {
		u.Path = "/"
	}
	return u.String()
}

func (r Request) sts(cfg aws.Config) (*sts.Client, error) {
	var wrong error
	client := sts.NewFromConfig(cfg, func(o *sts.Options) {
		e := &o.EndpointOptions
		wrong = r.variant(sts.ServiceID, o.BaseEndpoint, &e.UseFIPSEndpoint, &e.UseDualStackEndpoint)
	})
	return client, wrong
}

func (r Request) ecr(cfg aws.Config) (*ecr.Client, error) {
	var wrong error
	client := ecr.NewFromConfig(cfg, func(o *ecr.Options) {
		e := &o.EndpointOptions
		wrong = r.variant(ecr.ServiceID, o.BaseEndpoint, &e.UseFIPSEndpoint, &e.UseDualStackEndpoint)
	})
	return client, wrong
}

func (r Request) ecrPublic(cfg aws.Config) (*ecrpublic.Client, error) {
	var wrong error
	client := ecrpublic.NewFromConfig(cfg, func(o *ecrpublic.Options) {
		e := &o.EndpointOptions
		wrong = r.variant(ecrpublic.ServiceID, o.BaseEndpoint, &e.UseFIPSEndpoint, &e.UseDualStackEndpoint)
	})
	return client, wrong
}

// variant makes a service client call what the registry's host asks for. The standard variables can
// only add to it. A custom endpoint stands for itself: the SDK refuses it together with either. The
// error is an *EndpointError, or says that there is no such variant.
func (r Request) variant(
	service string, custom *string, fips *aws.FIPSEndpointState, dualStack *aws.DualStackEndpointState,
) error {
	if custom != nil {
		*fips, *dualStack = aws.FIPSEndpointStateDisabled, aws.DualStackEndpointStateDisabled
		return r.checkEndpoint(service, *custom)
	}
	reg := r.Settings.Registry
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
