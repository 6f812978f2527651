package doctor

import (
	"context"
	"net/url"
	"slices"
	"strings"

	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/exchange"
	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/explain"
	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/helper"
	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/registry"
	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/token"
)

// Host is a host that a login, a pull or a push connects to.
type Host struct {
	Name string // can begin with "*."
	Use  string // such as "role (STS)"
}

// Hosts returns the hosts that a closed network must allow for a registry. They depend on the
// identity and on custom endpoints. Hosts makes no request and blocks for at most explain.GetTimeout.
// It returns an error for an invalid setting.
func (d Doctor) Hosts(reg registry.Registry) ([]Host, error) {
	return explain.RunWithTimeout("reading the settings", explain.GetTimeout,
		func(ctx context.Context) ([]Host, error) { return d.hosts(ctx, reg) })
}

func (d Doctor) hosts(ctx context.Context, reg registry.Registry) (hosts []Host, err error) {
	x := d.Helper.Examine(ctx, reg)
	switch {
	case x.Anonymous && reg.Public: // a pull needs no login
	case !x.Resolved:
		return nil, x.Err
	default:
		if hosts, err = d.loginHosts(ctx, x); err != nil {
			return nil, err
		}
	}
	hosts = append(hosts, Host{reg.Host, "registry"})
	if reg.Public {
		// https://aws.amazon.com/blogs/aws/amazon-ecr-public-a-new-public-container-registry/
		return append(hosts, Host{"*.cloudfront.net", "layers of images"}), nil
	}
	// https://docs.aws.amazon.com/AmazonECR/latest/userguide/vpc-endpoints.html
	standard, _ := registry.Host(reg.Account, reg.Region)
	_, suffix, _ := strings.Cut(standard, ".dkr.ecr."+reg.Region+".")
	bucket := "prod-" + reg.Region + "-starport-layer-bucket.s3." + reg.Region + "." + suffix
	return append(hosts, Host{bucket, "layers of images (S3)"}), nil
}

// loginHosts returns the hosts of a login, even if the token or the role is missing.
func (d Doctor) loginHosts(ctx context.Context, x helper.Examination) (hosts []Host, err error) {
	r := exchange.LoginInput{
		Settings: x.Settings, Roles: x.Roles, Identity: x.Identity, Env: d.Helper.Env,
		Debug: d.Helper.Debug,
	}
	sts, ecr, err := exchange.Endpoints(ctx, r)
	if err != nil {
		return nil, err
	}
	if name := tokenHost(x.Identity, d.Helper.Env); name != "" {
		hosts = append(hosts, Host{name, "OIDC token (" + x.Identity.Label + ")"})
	}
	for _, name := range exchange.SignInHosts(ctx, r) {
		hosts = append(hosts, Host{name, "AWS sign-in"})
	}
	if sts != "" {
		hosts = append(hosts, Host{hostOf(sts), "role (STS)"})
	}
	return append(hosts, Host{hostOf(ecr), "password (ECR API)"}), nil
}

// tokenHost returns the host of the CI's token endpoint, or "" if the token is not requested. GitHub
// has many hosts and gives each job one of them, so the result for GitHub is a wildcard.
func tokenHost(id token.Identity, env token.Env) string {
	const github = ".actions.githubusercontent.com"
	host := hostOf(env.Get(id.URL))
	switch {
	case id.Name == "github" && (host == "" || strings.HasSuffix(host, github)):
		return "*" + github
	case id.Name == "buildkite" && host == "":
		return "agent.buildkite.com"
	}
	return host
}

// hostOf returns the host of a URL, or "".
func hostOf(rawURL string) string {
	u, err := url.Parse(rawURL)
	if err != nil {
		return ""
	}
	return u.Host
}

// MergeHosts returns the hosts of several registries, each once.
func MergeHosts(hosts ...Host) (merged []Host) {
	for _, h := range hosts {
		if !slices.ContainsFunc(merged, func(m Host) bool { return m.Name == h.Name }) {
			merged = append(merged, h)
		}
	}
	return merged
}
