// Package registry reads what Docker calls a registry and says which ECR it is, or that it is none.
package registry

import "strings"

// Registry is one Amazon ECR registry. It is a plain value; two that are equal are the same registry.
type Registry struct {
	Host      string // as clients name it: lower case, no scheme, no port, no path
	Account   string // twelve digits; empty for the public registry
	Region    string // where its API is called, e.g. "eu-west-2"; "us-east-1" for the public registry
	Partition string // "aws", "aws-cn", "aws-us-gov" ...
	FIPS      bool   // the host is a FIPS one, so the API called is the FIPS one
	DualStack bool   // the host is a dual-stack one, so the API called is the dual-stack one
	Public    bool   // public.ecr.aws or ecr-public.aws.com
}

// partitions lists who owns which names. The regions' forms are those of the AWS SDK's
// partitions.json, so that a region that opens tomorrow works today; only the commercial one is
// wider (any two letters, for a new country), and that is safe, because every suffix below belongs
// to Amazon. The suffixes are those of AWS's own helper (amazon-ecr-credential-helper,
// ecr-login/api/client.go), plus on.amazonwebservices.eu, which follows the pattern of the other
// dual-stack names and which AWS has not documented for ECR.
var partitions = []struct {
	name      string
	region    string // its form, see fits
	suffix    string
	dualStack string // suffix of dual-stack hosts; empty where none is known
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

// fits says whether a region has a form: labels between hyphens, each as it stands, or "??" for two
// letters, "*" for letters, "#" for one or two digits. It is no regular expression, because every
// get comes here, and would have to compile it.
func fits(region, form string) bool {
	labels, forms := strings.Split(region, "-"), strings.Split(form, "-")
	if len(labels) != len(forms) {
		return false
	}
	for i, label := range labels {
		ok := label == forms[i]
		switch forms[i] {
		case "??":
			ok = len(label) == 2 && only(label, 'a', 'z')
		case "*":
			ok = label != "" && only(label, 'a', 'z')
		case "#":
			ok = 1 <= len(label) && len(label) <= 2 && only(label, '0', '9')
		}
		if !ok {
			return false
		}
	}
	return true
}

// only says whether s has no other characters than those from first to last.
func only(s string, first, last rune) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r < first || last < r })
}

// Parse reads a registry as any client writes it: a host, or an http or https URL, with or without
// ":443" and a path, in any case. It returns false for everything that is not ECR, and for names
// that only look like it; it does no I/O.
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
	// ACCOUNT.dkr.ecr.REGION.SUFFIX and ACCOUNT.dkr-ecr.REGION.DUALSTACKSUFFIX, each with an optional "-fips"
	// (https://docs.aws.amazon.com/general/latest/gr/ecr.html).
	account, rest, _ := strings.Cut(host, ".dkr")
	r := Registry{Host: host, Account: account, DualStack: strings.HasPrefix(rest, "-")}
	if len(account) != 12 || !only(account, '0', '9') ||
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
		// "cn-north-1" has the commercial form too, but its suffix has not.
		if ok && want != "" && suffix == want && fits(region, p.region) &&
			!(p.name == "aws" && strings.HasPrefix(region, "cn-")) {
			r.Region, r.Partition = region, p.name
			return r, true
		}
	}
	return Registry{}, false
}

// Host names an account's private registry in a region, as Parse reads it back: the region says
// which partition's names it has. It returns false for what is no account or no region.
func Host(account, region string) (string, bool) {
	for _, p := range partitions {
		if !fits(region, p.region) {
			continue
		}
		host := account + ".dkr.ecr." + region + "." + p.suffix
		if r, ok := Parse(host); ok && r.Host == host {
			return host, true
		}
	}
	return "", false
}

// hostOf takes the host out of what a client passed, lower-cased. It is strict instead of using
// net/url, because a name that two parsers read differently is how a password reaches the wrong
// host (GO-2026-6225).
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
	return host, host != "" // any other character that does not belong in a host fails in Parse
}

// lower maps A-Z only: strings.ToLower would turn the Kelvin sign into a k.
func lower(s string) string {
	return strings.Map(func(r rune) rune {
		if 'A' <= r && r <= 'Z' {
			return r + 'a' - 'A'
		}
		return r
	}, s)
}

func notPrintable(r rune) bool { return r <= ' ' || r > '~' }
