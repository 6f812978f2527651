package registry

import (
	"slices"
	"strings"

	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/suggest"
)

// IsKnownRegion reports whether a region is in Regions.
func IsKnownRegion(region string) bool { return slices.Contains(Regions(), region) }

// NearestRegion returns the region that a mistyped region probably means, or "".
func NearestRegion(mistyped string) string { return suggest.Nearest(mistyped, Regions()) }

// Nearest returns the host of the private registry that a mistyped host or URL probably means, or ""
// if the name is not that of a registry with any other region.
func Nearest(mistyped string) string {
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
