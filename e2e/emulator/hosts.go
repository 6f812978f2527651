package emulator

import (
	"net"
	"net/http"
	"regexp"
	"strings"
)

// partition is one AWS, with the endings of its names.
// https://github.com/boto/botocore/blob/develop/botocore/data/partitions.json
type partition struct {
	name     string
	prefix   string // of its regions; empty for all that no other partition has
	dns      string
	dual     string // dual-stack APIs
	registry string // dual-stack registries; empty where none is known
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

// endpoints are the names under which AWS's own SDK looks for each service.
// ecr-fips.REGION.amazonaws.com is the older name of api.ecr-fips, still in the
// documents: https://docs.aws.amazon.com/general/latest/gr/ecr.html
var endpoints = []struct {
	prefix, service string
	dns, dual       bool // under which endings
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

// Hosts of the CI services. The first number of GitHub's token hosts varies.
const (
	githubIssuerHost = "token.actions.githubusercontent.com"
	githubTokenHost  = "run-actions-1-azure-eastus.actions.githubusercontent.com"
	circleHost       = "oidc.circleci.com"
	buildkiteHost    = "agent.buildkite.com"
)

// place is what a request is for.
type place struct {
	service string // as in Server.URL, or registry, or world
	region  string // as the host name says it; empty on loopback
	account string // registries only; "public" for public.ecr.aws
	path    string // what is left for the service
	base    string // scheme, host and path before that
}

func partitionOf(region string) partition {
	for _, p := range partitions {
		if strings.HasPrefix(region, p.prefix) {
			return p
		}
	}
	return partition{}
}

// locate decides from the Host header, and on loopback from the first element
// of the path, which service a request is for.
func locate(r *http.Request) (place, bool) {
	host := strings.ToLower(r.Host)
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	scheme := "http://"
	if r.TLS != nil {
		scheme = "https://"
	}
	p, ok := byName(host)
	p.path, p.base = r.URL.Path, scheme+r.Host
	if !loopback(host) {
		return p, ok
	}
	service, path, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
	p.service, p.path, p.base = service, "/"+path, p.base+"/"+service
	switch service {
	case "sts", "ecr", "ecr-public", "sso", "sso-oidc", "signin",
		"github-token", "github", "circleci", "buildkite", "forgejo", "azure":
		return p, true
	case "_emulator":
		p.service = "emulator"
		return p, true
	case "aws":
		p.service = byContent(r, p.path)
		return p, true
	}
	return p, false
}

func byName(host string) (place, bool) {
	switch host {
	case githubIssuerHost:
		return place{service: "github"}, true
	case githubTokenHost:
		return place{service: "github-token"}, true
	case circleHost:
		return place{service: "circleci"}, true
	case buildkiteHost:
		return place{service: "buildkite"}, true
	case forgejoHost:
		return place{service: "forgejo"}, true
	case "emulator.test":
		return place{service: "emulator"}, true
	case "public.ecr.aws", "ecr-public.aws.com":
		return place{service: "registry", region: "us-east-1", account: "public"}, true
	case "sts.amazonaws.com": // the global endpoint signs as us-east-1
		return place{service: "sts", region: "us-east-1"}, true
	}
	if m := registryName.FindStringSubmatch(host); m != nil {
		p := partitionOf(m[3])
		ok := regionName.MatchString(m[3]) && (m[2] == "." && m[4] == p.dns || m[2] == "-" && m[4] == p.registry)
		return place{service: "registry", account: m[1], region: m[3]}, ok
	}
	if region, ok := strings.CutSuffix(host, ".signin.aws.amazon.com"); ok {
		return place{service: "signin", region: region}, regionName.MatchString(region)
	}
	for _, e := range endpoints {
		rest, found := strings.CutPrefix(host, e.prefix)
		region, suffix, _ := strings.Cut(rest, ".")
		if !found || !regionName.MatchString(region) {
			continue
		}
		if p := partitionOf(region); e.dns && suffix == p.dns || e.dual && suffix == p.dual {
			return place{service: e.service, region: region}, true
		}
	}
	return place{}, false
}

// byContent tells AWS's services apart where one endpoint serves them all.
func byContent(r *http.Request, path string) string {
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
