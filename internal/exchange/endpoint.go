package exchange

import (
	"context"
	"errors"
	"fmt"
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

	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/safetext"
	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/token"
)

// EndpointError reports a custom endpoint that is not used: it is not a URL, or it is a plain http
// URL, over which a token or a signed request would be sent unencrypted.
type EndpointError struct {
	Service  string // the SDK's name of the service
	Endpoint string // scheme and host; empty when the endpoint is not a URL
	From     string // the variable or file that sets the endpoint
}

func (e *EndpointError) Error() string {
	what := safetext.Sanitize(e.From) + " is not a valid URL"
	if e.Endpoint != "" {
		what = safetext.Sanitize(e.Endpoint) + " (from " + safetext.Sanitize(e.From) + ") must be an https URL"
	}
	return "checking the endpoint of " + e.Service + ": " + what
}

// checkEndpoint returns an *EndpointError for an endpoint of a service that must not be called.
func (r Request) checkEndpoint(service, endpoint string) error {
	u, err := token.ParseEndpoint(endpoint)
	switch {
	case err == nil:
		return nil
	case u == nil:
		return &EndpointError{Service: service, From: r.endpointFrom(service)}
	case errors.Is(err, token.ErrClearText) && u.Scheme == "http" && r.Settings.AllowHTTPEndpoints:
		return nil
	}
	return &EndpointError{
		Service: service, Endpoint: u.Scheme + "://" + u.Host, From: r.endpointFrom(service),
	}
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
	file, _ := ProfileFiles(r.Env)
	return fmt.Sprintf("endpoint_url of profile %s in %s", quoted(profile), file)
}

// metadataOperations are the operations by which the SDK gets a container's credentials
// (credentials/endpointcreds) and an instance's (feature/ec2/imds). No client of a service that is
// used here has an operation of the same name.
var metadataOperations = []string{"GetCredentials", "GetToken", "GetMetadata"}

// refuseClearText fails each request that would cross the network in clear text, before it is sent.
// It is in every client of the SDK, those of its own chain included. The endpoints that give a
// container or an instance its credentials are served by http, and are exempt: for a container the
// SDK allows only loopback and the addresses of ECS and EKS.
func (r Request) refuseClearText(stack *middleware.Stack) error {
	if slices.Contains(metadataOperations, stack.ID()) {
		return nil
	}
	refuse := func(
		ctx context.Context, in middleware.DeserializeInput, next middleware.DeserializeHandler,
	) (out middleware.DeserializeOutput, metadata middleware.Metadata, err error) {
		req, ok := in.Request.(*smithyhttp.Request)
		if !ok {
			return out, metadata, fmt.Errorf("unknown transport %T", in.Request)
		}
		if err := r.checkEndpoint(awsmiddleware.GetServiceID(ctx), req.URL.String()); err != nil {
			return out, metadata, err
		}
		return next.HandleDeserialize(ctx, in)
	}
	return stack.Deserialize.Add(
		middleware.DeserializeMiddlewareFunc("RefuseClearText", refuse), middleware.After)
}

// Endpoints returns the URLs of STS and ECR that Login would request; STS's is "" when there is no
// role to assume. It makes no request. The error is *EndpointError or names the setting that is
// wrong.
func Endpoints(ctx context.Context, r Request) (sts, ecr string, err error) {
	if r.roots, err = CABundle(r.Env); err != nil { // before the SDK reads all of it
		return "", "", err
	}
	load := r.environmentConfig
	if !r.Identity.OIDC() && !r.Identity.KeysOnly {
		load = r.load
	}
	cfg, err := load(ctx)
	if err != nil {
		return "", "", err
	}
	return r.endpoints(ctx, cfg)
}

// endpoints returns the URLs of the clients that login uses, from the SDK's own resolvers. The
// error is an *EndpointError or reports that AWS has no such endpoint.
func (r Request) endpoints(
	ctx context.Context, cfg aws.Config,
) (stsURL, ecrURL string, err error) {
	if len(r.Roles.ARNs) > 0 {
		o := r.sts(cfg).Options()
		e := o.EndpointOptions
		resolved, err := sts.NewDefaultEndpointResolverV2().ResolveEndpoint(ctx, sts.EndpointParameters{
			Region: &o.Region, Endpoint: o.BaseEndpoint,
			UseFIPS: fips(e.UseFIPSEndpoint), UseDualStack: dualStack(e.UseDualStackEndpoint),
		})
		stsURL, err = r.endpointURL(sts.ServiceID, o.BaseEndpoint, e.UseFIPSEndpoint, resolved, err)
		if err != nil {
			return "", "", err
		}
	}
	if r.Settings.Registry.Public {
		o := r.ecrPublic(cfg).Options()
		e := o.EndpointOptions
		resolver := ecrpublic.NewDefaultEndpointResolverV2()
		resolved, err := resolver.ResolveEndpoint(ctx, ecrpublic.EndpointParameters{
			Region: &o.Region, Endpoint: o.BaseEndpoint,
			UseFIPS: fips(e.UseFIPSEndpoint), UseDualStack: dualStack(e.UseDualStackEndpoint),
		})
		ecrURL, err = r.endpointURL(ecrpublic.ServiceID, o.BaseEndpoint, e.UseFIPSEndpoint, resolved, err)
		return stsURL, ecrURL, err
	}
	o := r.ecr(cfg).Options()
	e := o.EndpointOptions
	resolved, err := ecr.NewDefaultEndpointResolverV2().ResolveEndpoint(ctx, ecr.EndpointParameters{
		Region: &o.Region, Endpoint: o.BaseEndpoint,
		UseFIPS: fips(e.UseFIPSEndpoint), UseDualStack: dualStack(e.UseDualStackEndpoint),
	})
	ecrURL, err = r.endpointURL(ecr.ServiceID, o.BaseEndpoint, e.UseFIPSEndpoint, resolved, err)
	return stsURL, ecrURL, err
}

func fips(s aws.FIPSEndpointState) *bool { return aws.Bool(s == aws.FIPSEndpointStateEnabled) }

func dualStack(s aws.DualStackEndpointState) *bool {
	return aws.Bool(s == aws.DualStackEndpointStateEnabled)
}

// endpointURL returns a resolved endpoint as a URL without user, password and query, and with "/"
// for an empty path. custom is the endpoint that a setting names; nil for none. The error is of a
// custom endpoint that must not be called, of a variant that AWS does not have, or err.
func (r Request) endpointURL(
	service string, custom *string, useFIPS aws.FIPSEndpointState,
	resolved smithyendpoints.Endpoint, err error,
) (string, error) {
	reg := r.Settings.Registry
	if custom != nil {
		if wrong := r.checkEndpoint(service, *custom); wrong != nil {
			return "", wrong
		}
	}
	// ECR has FIPS endpoints in the US regions only
	// (https://docs.aws.amazon.com/general/latest/gr/ecr.html). The SDK makes up a name for any
	// other region, which cannot be found.
	hasFIPS := !reg.Public && strings.HasPrefix(reg.Region, "us-")
	if useFIPS == aws.FIPSEndpointStateEnabled && !hasFIPS {
		return "", fmt.Errorf("choosing endpoints for %s: AWS has no FIPS endpoint for it (is "+
			"AWS_USE_FIPS_ENDPOINT set?)", reg.Host)
	}
	if err != nil {
		return "", fmt.Errorf("resolving the endpoint of %s: %w", service, err)
	}
	u := resolved.URI
	u.User, u.RawQuery = nil, ""
	if u.Path == "" {
		u.Path = "/"
	}
	return u.String(), nil
}

func (r Request) sts(cfg aws.Config) *sts.Client {
	return sts.NewFromConfig(cfg, func(o *sts.Options) {
		e := &o.EndpointOptions
		r.chooseVariant(o.BaseEndpoint, &e.UseFIPSEndpoint, &e.UseDualStackEndpoint)
	})
}

func (r Request) ecr(cfg aws.Config) *ecr.Client {
	return ecr.NewFromConfig(cfg, func(o *ecr.Options) {
		e := &o.EndpointOptions
		r.chooseVariant(o.BaseEndpoint, &e.UseFIPSEndpoint, &e.UseDualStackEndpoint)
	})
}

func (r Request) ecrPublic(cfg aws.Config) *ecrpublic.Client {
	return ecrpublic.NewFromConfig(cfg, func(o *ecrpublic.Options) {
		e := &o.EndpointOptions
		r.chooseVariant(o.BaseEndpoint, &e.UseFIPSEndpoint, &e.UseDualStackEndpoint)
	})
}

// chooseVariant makes a client call the kind of endpoint that the registry's host names. The
// standard variables can only add to it. With a custom endpoint both are off, because the SDK
// refuses it together with either.
func (r Request) chooseVariant(
	custom *string, fips *aws.FIPSEndpointState, dualStack *aws.DualStackEndpointState,
) {
	if custom != nil {
		*fips, *dualStack = aws.FIPSEndpointStateDisabled, aws.DualStackEndpointStateDisabled
		return
	}
	if r.Settings.Registry.FIPS {
		*fips = aws.FIPSEndpointStateEnabled
	}
	if r.Settings.Registry.DualStack {
		*dualStack = aws.DualStackEndpointStateEnabled
	}
}
