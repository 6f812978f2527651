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

// EndpointError reports a custom endpoint that is not used. It is not a URL, or it is a plain http
// URL, over which a token or a signed request would be sent unencrypted.
type EndpointError struct {
	Service  string // the SDK's name for the service
	Endpoint string // scheme and host; "" when the endpoint is not a URL
	From     string // the variable or file that sets the endpoint
}

func (e *EndpointError) Error() string {
	what := safetext.Sanitize(e.From) + " is not a valid URL"
	if e.Endpoint != "" {
		what = fmt.Sprintf("%s (from %s) must be an https URL",
			safetext.Sanitize(e.Endpoint), safetext.Sanitize(e.From))
	}
	return "checking the endpoint of " + e.Service + ": " + what
}

// checkEndpoint returns an *EndpointError when a service must not be called at endpoint.
func (in LoginInput) checkEndpoint(service, endpoint string) error {
	u, err := token.ParseEndpoint(endpoint)
	switch {
	case err == nil:
		return nil
	case u == nil:
		return &EndpointError{Service: service, From: in.endpointSetting(service)}
	case errors.Is(err, token.ErrClearText) && u.Scheme == "http" && in.Settings.AllowHTTPEndpoints:
		return nil
	}
	return &EndpointError{
		Service: service, Endpoint: u.Scheme + "://" + u.Host, From: in.endpointSetting(service),
	}
}

// endpointSetting returns the variable or file that sets a service's custom endpoint, in the SDK's
// order of precedence.
func (in LoginInput) endpointSetting(service string) string {
	own := "AWS_ENDPOINT_URL_" + strings.ToUpper(strings.ReplaceAll(service, " ", "_"))
	for _, name := range []string{own, "AWS_ENDPOINT_URL"} {
		if value, _ := in.Env(name); value != "" {
			return name
		}
	}
	profile, _ := in.profileName()
	file, _ := ProfileFiles(in.Env)
	return fmt.Sprintf("endpoint_url of profile %s in %s", quoteProfile(profile), file)
}

// metadataOperations are the operations with which the SDK gets the credentials of a container
// (credentials/endpointcreds) and of an instance (feature/ec2/imds). The services that this package
// uses have no operation of the same name.
var metadataOperations = []string{"GetCredentials", "GetToken", "GetMetadata"}

// refuseClearText adds middleware that fails a request to an endpoint that checkEndpoint rejects,
// before the request is sent. Every SDK client has it, including the clients of the SDK's default
// chain. The metadata services of containers and instances are exempt, because they use http. For a
// container, the SDK allows only loopback and the addresses of ECS and EKS.
func (in LoginInput) refuseClearText(stack *middleware.Stack) error {
	if slices.Contains(metadataOperations, stack.ID()) {
		return nil
	}
	refuse := func(
		ctx context.Context, input middleware.DeserializeInput, next middleware.DeserializeHandler,
	) (out middleware.DeserializeOutput, metadata middleware.Metadata, err error) {
		req, ok := input.Request.(*smithyhttp.Request)
		if !ok {
			return out, metadata, fmt.Errorf("unknown transport %T", input.Request)
		}
		service := awsmiddleware.GetServiceID(ctx)
		if err := in.checkEndpoint(service, req.URL.String()); err != nil {
			return out, metadata, err
		}
		return next.HandleDeserialize(ctx, input)
	}
	return stack.Deserialize.Add(
		middleware.DeserializeMiddlewareFunc("RefuseClearText", refuse), middleware.After)
}

// Endpoints returns the URLs of STS and ECR that Login uses. The URL of STS is "" when no role is
// assumed. Endpoints makes no request and runs no command. The error is an *EndpointError or a
// *ProfileError, or reports an invalid setting.
func Endpoints(ctx context.Context, in LoginInput) (sts, ecr string, err error) {
	// CABundle rejects a file that is too large, before the SDK reads it.
	if in.roots, err = CABundle(in.Env); err != nil {
		return "", "", err
	}
	load := in.environmentConfig
	if !in.Identity.OIDC() && !in.Identity.KeysOnly {
		load = in.loadDefaultConfig
	}
	cfg, err := load(ctx)
	if err != nil {
		return "", "", err
	}
	return in.endpoints(ctx, cfg)
}

// endpoints returns the URLs that the clients of Login use, from the SDK's resolvers. The URL of
// STS is "" when no role is assumed. The error is an *EndpointError, or reports that AWS has no
// such endpoint.
func (in LoginInput) endpoints(
	ctx context.Context, cfg aws.Config,
) (stsURL, ecrURL string, err error) {
	if len(in.Roles.ARNs) > 0 {
		o := in.sts(cfg).Options()
		e := o.EndpointOptions
		resolver := sts.NewDefaultEndpointResolverV2()
		resolved, err := resolver.ResolveEndpoint(ctx, sts.EndpointParameters{
			Region: &o.Region, Endpoint: o.BaseEndpoint,
			UseFIPS:      fipsEnabled(e.UseFIPSEndpoint),
			UseDualStack: dualStackEnabled(e.UseDualStackEndpoint),
		})
		stsURL, err = in.endpointURL(sts.ServiceID, o.BaseEndpoint, e.UseFIPSEndpoint, resolved, err)
		if err != nil {
			return "", "", err
		}
	}
	if in.Settings.Registry.Public {
		o := in.ecrPublic(cfg).Options()
		e := o.EndpointOptions
		resolver := ecrpublic.NewDefaultEndpointResolverV2()
		resolved, err := resolver.ResolveEndpoint(ctx, ecrpublic.EndpointParameters{
			Region: &o.Region, Endpoint: o.BaseEndpoint,
			UseFIPS:      fipsEnabled(e.UseFIPSEndpoint),
			UseDualStack: dualStackEnabled(e.UseDualStackEndpoint),
		})
		ecrURL, err = in.endpointURL(ecrpublic.ServiceID, o.BaseEndpoint, e.UseFIPSEndpoint,
			resolved, err)
		return stsURL, ecrURL, err
	}
	o := in.ecr(cfg).Options()
	e := o.EndpointOptions
	resolver := ecr.NewDefaultEndpointResolverV2()
	resolved, err := resolver.ResolveEndpoint(ctx, ecr.EndpointParameters{
		Region: &o.Region, Endpoint: o.BaseEndpoint,
		UseFIPS:      fipsEnabled(e.UseFIPSEndpoint),
		UseDualStack: dualStackEnabled(e.UseDualStackEndpoint),
	})
	ecrURL, err = in.endpointURL(ecr.ServiceID, o.BaseEndpoint, e.UseFIPSEndpoint, resolved, err)
	return stsURL, ecrURL, err
}

func fipsEnabled(s aws.FIPSEndpointState) *bool { return aws.Bool(s == aws.FIPSEndpointStateEnabled) }

func dualStackEnabled(s aws.DualStackEndpointState) *bool {
	return aws.Bool(s == aws.DualStackEndpointStateEnabled)
}

// endpointURL returns a resolved endpoint as a URL without user, password and query. An empty path
// becomes "/". custom is the endpoint in a setting; nil for none. resolved and err are the result
// of the SDK's resolver. endpointURL returns an error for a custom endpoint that must not be
// called, for a variant that AWS does not have, and for err.
func (in LoginInput) endpointURL(
	service string, custom *string, useFIPS aws.FIPSEndpointState,
	resolved smithyendpoints.Endpoint, err error,
) (string, error) {
	reg := in.Settings.Registry
	if custom != nil {
		if invalid := in.checkEndpoint(service, *custom); invalid != nil {
			return "", invalid
		}
	}
	// ECR has FIPS endpoints in the US regions only
	// (https://docs.aws.amazon.com/general/latest/gr/ecr.html). For other regions the SDK
	// returns a host that does not exist.
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

func (in LoginInput) sts(cfg aws.Config) *sts.Client {
	return sts.NewFromConfig(cfg, func(o *sts.Options) {
		e := &o.EndpointOptions
		in.chooseVariant(o.BaseEndpoint, &e.UseFIPSEndpoint, &e.UseDualStackEndpoint)
	})
}

func (in LoginInput) ecr(cfg aws.Config) *ecr.Client {
	return ecr.NewFromConfig(cfg, func(o *ecr.Options) {
		e := &o.EndpointOptions
		in.chooseVariant(o.BaseEndpoint, &e.UseFIPSEndpoint, &e.UseDualStackEndpoint)
	})
}

func (in LoginInput) ecrPublic(cfg aws.Config) *ecrpublic.Client {
	return ecrpublic.NewFromConfig(cfg, func(o *ecrpublic.Options) {
		e := &o.EndpointOptions
		in.chooseVariant(o.BaseEndpoint, &e.UseFIPSEndpoint, &e.UseDualStackEndpoint)
	})
}

// chooseVariant enables FIPS and dual-stack for a client when the registry's host has them. AWS's
// standard variables can enable more, but cannot disable these. With a custom endpoint both are
// disabled, because the SDK rejects a custom endpoint combined with either.
func (in LoginInput) chooseVariant(
	custom *string, fips *aws.FIPSEndpointState, dualStack *aws.DualStackEndpointState,
) {
	if custom != nil {
		*fips = aws.FIPSEndpointStateDisabled
		*dualStack = aws.DualStackEndpointStateDisabled
		return
	}
	if in.Settings.Registry.FIPS {
		*fips = aws.FIPSEndpointStateEnabled
	}
	if in.Settings.Registry.DualStack {
		*dualStack = aws.DualStackEndpointStateEnabled
	}
}
