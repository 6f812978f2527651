// Package registry recognizes the names of Amazon ECR registries.
package registry

import "strings"

// Registry is an Amazon ECR registry. Two equal values are the same registry.
type Registry struct {
	Host      string // lower case, without scheme, port and path
	Account   string // twelve digits; "" for the public registry
	Region    string // of the API endpoint, e.g. "eu-west-2"; "us-east-1" for the public registry
	Partition string // "aws", "aws-cn", "aws-us-gov" ...
	FIPS      bool   // a FIPS host; its API endpoint is the FIPS endpoint
	DualStack bool   // a dual-stack host; its API endpoint is the dual-stack endpoint
	Public    bool   // public.ecr.aws or ecr-public.aws.com
}

// partitions lists the host names of each AWS partition. The region patterns are those of the AWS
// SDK's partitions.json, so new regions work without a release. Only the pattern of the commercial
// partition is wider: it accepts any two letters, for a new country. That is safe because Amazon
// owns every suffix below.
//
// The suffixes are those of AWS's own helper (amazon-ecr-credential-helper,
// ecr-login/api/client.go), plus on.amazonwebservices.eu. AWS has not documented that suffix for
// ECR; it follows the pattern of the other dual-stack suffixes.
var partitions = []struct {
	name      string
	region    string // a pattern; see matches
	suffix    string
	dualStack string // suffix of dual-stack hosts; "" if none is known
}{
	{"aws", "??-*-#", "amazonaws.com", "on.aws"},
	{"aws-us-gov", "us-gov-*-#", "amazonaws.com", "on.aws"},
	{"aws-cn", "cn-*-#", "amazonaws.com.cn", "on.amazonwebservices.com.cn"},
	{"aws-eusc", "eusc-??-*-#", "amazonaws.eu", "on.amazonwebservices.eu"},
	{"aws-iso", "us-iso-*-#", "c2s.ic.gov", ""},
	{"aws-iso-b", "us-isob-*-#", "sc2s.sgov.gov", ""},
	{"aws-iso-e", "eu-isoe-*-#", "cloud.adc-e.uk", ""},
	{"aws-iso-f", "us-isof-*-#", "csp.hci.ic.gov", ""},
}

// matches reports whether a region matches a pattern. A pattern consists of labels between hyphens.
// The label "??" matches two letters, "*" one or more letters, and "#" one or two digits. Any other
// label matches itself. It is not a regular expression, because every get would have to compile it.
func matches(region, pattern string) bool {
	labels, patterns := strings.Split(region, "-"), strings.Split(pattern, "-")
	if len(labels) != len(patterns) {
		return false
	}
	for i, label := range labels {
		ok := label == patterns[i]
		switch patterns[i] {
		case "??":
			ok = len(label) == 2 && inRange(label, 'a', 'z')
		case "*":
			ok = label != "" && inRange(label, 'a', 'z')
		case "#":
			ok = 1 <= len(label) && len(label) <= 2 && inRange(label, '0', '9')
		}
		if !ok {
			return false
		}
	}
	return true
}

// inRange reports whether every character of s is between first and last, inclusive.
func inRange(s string, first, last rune) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r < first || last < r })
}

// Parse parses the name of a registry in any form that clients use: a host, or an http or https URL,
// with or without ":443" and a path, in upper or lower case. It returns false if the name is not an
// ECR registry's, or only looks like one. It does no I/O.
func Parse(s string) (Registry, bool) {
	host, ok := hostOf(s)
	if !ok {
		return Registry{}, false
	}
	switch host {
	case "public.ecr.aws", "ecr-public.aws.com":
		r := Registry{Host: host, Region: "us-east-1", Partition: "aws", Public: true}
		r.DualStack = host == "ecr-public.aws.com"
		return r, true
	}
	// ACCOUNT.dkr.ecr.REGION.SUFFIX or ACCOUNT.dkr-ecr.REGION.DUALSTACKSUFFIX, with an optional
	// "-fips" after "ecr" (https://docs.aws.amazon.com/general/latest/gr/ecr.html).
	account, rest, _ := strings.Cut(host, ".dkr")
	r := Registry{Host: host, Account: account, DualStack: strings.HasPrefix(rest, "-")}
	if len(account) != 12 || !inRange(account, '0', '9') ||
		!strings.HasPrefix(rest, ".ecr") && !strings.HasPrefix(rest, "-ecr") {
		return Registry{}, false
	}
	rest, r.FIPS = strings.CutPrefix(rest[len(".ecr"):], "-fips")
	rest, ok = strings.CutPrefix(rest, ".")
	region, suffix, _ := strings.Cut(rest, ".")
	for _, p := range partitions {
		want := p.suffix
		if r.DualStack {
			want = p.dualStack
		}
		// "cn-north-1" also matches the commercial pattern, but its hosts have another suffix.
		if ok && want != "" && suffix == want && matches(region, p.region) &&
			!(p.name == "aws" && strings.HasPrefix(region, "cn-")) {
			r.Region, r.Partition = region, p.name
			return r, true
		}
	}
	return Registry{}, false
}

// Host returns the host of an account's private registry in a region. The region determines the
// partition. It returns false if the account or the region is malformed.
func Host(account, region string) (string, bool) {
	for _, p := range partitions {
		if !matches(region, p.region) {
			continue
		}
		host := account + ".dkr.ecr." + region + "." + p.suffix
		if r, ok := Parse(host); ok && r.Host == host {
			return host, true
		}
	}
	return "", false
}

// hostOf returns the host in a name that a client passed, in lower case. It does not use net/url,
// because it must be stricter: if two parsers find different hosts in a name, the password may be
// sent to the wrong host (GO-2026-6225).
func hostOf(s string) (string, bool) {
	s = lower(s)
	if rest, ok := strings.CutPrefix(s, "https://"); ok {
		s = rest
	} else if rest, ok := strings.CutPrefix(s, "http://"); ok { // from nerdctl and docker logout
		s = rest
	}
	host, path, _ := strings.Cut(s, "/")
	host = strings.TrimSuffix(host, ":443")
	if strings.ContainsAny(path, "?#@\\") || strings.ContainsFunc(path, notPrintable) {
		return "", false
	}
	return host, host != "" // Parse rejects every other character that is not valid in a host
}

// lower maps only A-Z, because strings.ToLower maps the Kelvin sign to "k".
func lower(s string) string {
	return strings.Map(func(r rune) rune {
		if 'A' <= r && r <= 'Z' {
			return r + 'a' - 'A'
		}
		return r
	}, s)
}

func notPrintable(r rune) bool { return r <= ' ' || r > '~' }
