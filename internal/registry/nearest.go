package registry

import (
	"slices"
	"strings"

	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/suggest"
)

// IsListedRegion reports whether a region is in Regions.
func IsListedRegion(region string) bool { return slices.Contains(Regions(), region) }

// NearestRegion returns the region that a mistyped region probably means, or "".
func NearestRegion(mistyped string) string { return suggest.Nearest(mistyped, Regions()) }

// NearestHost returns the host of the private registry that a host or URL with a mistyped region
// probably means. It returns "" if no correction of the region results in a registry's host.
func NearestHost(mistyped string) string {
	host, _ := hostOf(mistyped)
	for label := range strings.SplitSeq(host, ".") {
		region := NearestRegion(label)
		if region == "" {
			continue
		}
		if reg, ok := Parse(strings.Replace(host, "."+label+".", "."+region+".", 1)); ok {
			return reg.Host
		}
	}
	return ""
}
