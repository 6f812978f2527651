package emulator

import (
	"net"
	"net/http"
	"regexp"
	"strings"
)

// partition is an AWS partition with the suffixes of its host names.
// https://github.com/boto/botocore/blob/develop/botocore/data/partitions.json
type partition struct {
	name              string
	regionPrefix      string // empty for the commercial partition
	suffix            string
	dualStackSuffix   string // of the APIs
	dualStackRegistry string // suffix of the registries; empty if none is documented
}

var partitions = []partition{
	{"aws-cn", "cn-", "amazonaws.com.cn", "api.amazonwebservices.com.cn", "on.amazonwebservices.com.cn"},
	{"aws-eusc", "eusc-", "amazonaws.eu", "api.amazonwebservices.eu", "on.amazonwebservices.eu"},
	{"aws-iso", "us-iso-", "c2s.ic.gov", "api.aws.ic.gov", ""},
	{"aws-iso-b", "us-isob-", "sc2s.sgov.gov", "api.aws.scloud", ""},
	{"aws-iso-e", "eu-isoe-", "cloud.adc-e.uk", "api.cloud-aws.adc-e.uk", ""},
	{"aws-iso-f", "us-isof-", "csp.hci.ic.gov", "api.aws.hci.ic.gov", ""},
	{"aws-us-gov", "us-gov-", "amazonaws.com", "api.aws", "on.aws"},
	{"aws", "", "amazonaws.com", "api.aws", "on.aws"},
}

// serviceHosts are the prefixes under which the AWS SDKs find each service.
// ecr-fips.REGION.amazonaws.com is an older name of api.ecr-fips that is still documented:
// https://docs.aws.amazon.com/general/latest/gr/ecr.html
var serviceHosts = []struct {
	prefix, service string

	// Whether the name exists with partition.suffix, and with partition.dualStackSuffix.
	standard, dualStack bool
}{
	{"sts.", "sts", true, true},
	{"sts-fips.", "sts", true, true},
	{"api.ecr.", "ecr", true, false},
	{"api.ecr-fips.", "ecr", true, false},
	{"ecr-fips.", "ecr", true, true},
	{"ecr.", "ecr", false, true},
	{"api.ecr-public.", "ecr-public", true, false},
	{"ecr-public.", "ecr-public", false, true},
	{"portal.sso.", "sso", true, false},
	{"oidc.", "sso-oidc", true, false},
}

var (
	regionName   = regexp.MustCompile(`^[a-z]+(-[a-z]+)+-\d+$`)
	registryName = regexp.MustCompile(`^(\d{12})\.dkr([.-])ecr(?:-fips)?\.([a-z0-9-]+)\.(.+)$`)
)

// Hosts of the CIs. The first number in GitHub's token host varies.
const (
	githubIssuerHost = "token.actions.githubusercontent.com"
	githubTokenHost  = "run-actions-1-azure-eastus.actions.githubusercontent.com"
	circleHost       = "oidc.circleci.com"
	buildkiteHost    = "agent.buildkite.com"
)

// endpoint is the destination of a request.
type endpoint struct {
	service string // a service of Server.URL, "registry", "connect" or "emulator" (the admin API)
	region  string // from the host name; empty on loopback
	account string // registries only; "public" for public.ecr.aws
	path    string // the path within the service
	base    string // scheme, host and the path before path
}

func partitionOf(region string) partition {
	for _, p := range partitions {
		if strings.HasPrefix(region, p.regionPrefix) {
			return p
		}
	}
	return partition{}
}

// endpointOf returns the endpoint of a request, by its Host header and, on loopback, by the first
// element of its path. It reports false if there is no such endpoint.
func endpointOf(r *http.Request) (endpoint, bool) {
	host := strings.ToLower(r.Host)
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	scheme := "http://"
	if r.TLS != nil {
		scheme = "https://"
	}
	e, ok := endpointOfHost(host)
	e.path, e.base = r.URL.Path, scheme+r.Host
	if !loopback(host) {
		return e, ok
	}
	service, path, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
	e.service, e.path, e.base = service, "/"+path, e.base+"/"+service
	switch service {
	case "sts", "ecr", "ecr-public", "sso", "sso-oidc", "signin",
		"github-token", "github", "circleci", "buildkite", "forgejo", "azure":
		return e, true
	case "_emulator":
		e.service = "emulator"
		return e, true
	case "aws":
		e.service = serviceOfRequest(r, e.path)
		return e, true
	}
	return e, false
}

// endpointOfHost returns the endpoint of a host name. It reports false if the services have no such
// name.
func endpointOfHost(host string) (endpoint, bool) {
	switch host {
	case githubIssuerHost:
		return endpoint{service: "github"}, true
	case githubTokenHost:
		return endpoint{service: "github-token"}, true
	case circleHost:
		return endpoint{service: "circleci"}, true
	case buildkiteHost:
		return endpoint{service: "buildkite"}, true
	case forgejoHost:
		return endpoint{service: "forgejo"}, true
	case "emulator.test":
		return endpoint{service: "emulator"}, true
	case "public.ecr.aws", "ecr-public.aws.com":
		return endpoint{service: "registry", region: "us-east-1", account: "public"}, true
	case "sts.amazonaws.com": // requests to the global endpoint are signed for us-east-1
		return endpoint{service: "sts", region: "us-east-1"}, true
	}
	if m := registryName.FindStringSubmatch(host); m != nil {
		account, separator, region, suffix := m[1], m[2], m[3], m[4]
		p := partitionOf(region)
		ok := separator == "." && suffix == p.suffix || separator == "-" && suffix == p.dualStackRegistry
		return endpoint{service: "registry", account: account, region: region}, ok &&
			regionName.MatchString(region)
	}
	if region, ok := strings.CutSuffix(host, ".signin.aws.amazon.com"); ok {
		return endpoint{service: "signin", region: region}, regionName.MatchString(region)
	}
	for _, h := range serviceHosts {
		rest, found := strings.CutPrefix(host, h.prefix)
		region, suffix, _ := strings.Cut(rest, ".")
		if !found || !regionName.MatchString(region) {
			continue
		}
		p := partitionOf(region)
		if h.standard && suffix == p.suffix || h.dualStack && suffix == p.dualStackSuffix {
			return endpoint{service: h.service, region: region}, true
		}
	}
	return endpoint{}, false
}

// serviceOfRequest returns the AWS service of a request to an endpoint that serves all of them.
func serviceOfRequest(r *http.Request, path string) string {
	target := r.Header.Get("X-Amz-Target")
	switch {
	case strings.HasPrefix(target, ecrTarget):
		return "ecr"
	case strings.HasPrefix(target, publicTarget):
		return "ecr-public"
	case strings.HasPrefix(path, "/federation/"):
		return "sso"
	case path == "/token":
		return "sso-oidc"
	case path == "/v1/token":
		return "signin"
	}
	return "sts"
}
