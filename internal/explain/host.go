package explain

import (
	"regexp"
	"strings"

	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/registry"
)

// unresolvedHost returns the host that does not resolve, or "" for other errors. It matches the text of
// net.DNSError, because an error of AWS contains only text.
func unresolvedHost(err error) string {
	m := regexp.MustCompile(`lookup ([^ :]+)( on \S+)?: no such host`).FindStringSubmatch(err.Error())
	if m == nil {
		return ""
	}
	return m[1]
}

// unresolvedAdvice returns what to check when a host does not resolve. The name is probably mistyped,
// unless it is a host of AWS in a region that exists.
func unresolvedAdvice(err error) string {
	host := unresolvedHost(err)
	if strings.Contains(err.Error(), "proxyconnect") {
		return host + " does not resolve: check HTTPS_PROXY for a typo"
	}
	for label := range strings.SplitSeq(host, ".") {
		nearest := registry.NearestRegion(label)
		switch {
		case registry.IsKnownRegion(label):
			return host + " does not resolve: check this machine's DNS"
		case nearest != "":
			return host + " does not resolve, which is probably a typo in the region; did you " +
				"mean " + nearest + "?"
		}
	}
	return host + " does not resolve, which is probably a typo: check the setting that names it"
}
