package exchange

import (
	"context"
	"net/url"

	"github.com/aws/aws-sdk-go-v2/service/signin"
	"github.com/aws/aws-sdk-go-v2/service/sso"
	"github.com/aws/aws-sdk-go-v2/service/ssooidc"
	smithyendpoints "github.com/aws/smithy-go/endpoints"
)

// SignInHosts returns the hosts of the profile's sign-in session: its start page, and the services
// that return and renew credentials. It returns nil for other credentials. It makes no request.
func SignInHosts(ctx context.Context, in LoginInput) (hosts []string) {
	if in.Identity.Name != "aws" || in.Identity.KeysOnly {
		return nil
	}
	var err error
	if in.roots, err = CABundle(in.Env); err != nil {
		return nil
	}
	cfg, err := in.loadDefaultConfig(ctx)
	if err != nil {
		return nil
	}
	add := func(endpoint smithyendpoints.Endpoint, err error) {
		if err == nil {
			hosts = append(hosts, endpoint.URI.Host)
		}
	}
	profile := baseProfile(sharedConfig(cfg))
	start, region := profile.SSOStartURL, profile.SSORegion
	if session := profile.SSOSession; session != nil {
		start, region = session.SSOStartURL, session.SSORegion
	}
	switch {
	case start != "":
		if u, err := url.Parse(start); err == nil && u.Host != "" {
			hosts = append(hosts, u.Host)
		}
		add(ssooidc.NewDefaultEndpointResolverV2().ResolveEndpoint(ctx,
			ssooidc.EndpointParameters{Region: &region}))
		add(sso.NewDefaultEndpointResolverV2().ResolveEndpoint(ctx,
			sso.EndpointParameters{Region: &region}))
	case profile.LoginSession != "":
		region := in.consoleRegion(cfg, profile)
		add(signin.NewDefaultEndpointResolverV2().ResolveEndpoint(ctx,
			signin.EndpointParameters{Region: &region}))
	}
	return hosts
}
