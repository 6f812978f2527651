package registry

import (
	"regexp"
	"strings"
	"testing"
)

func TestParse(t *testing.T) {
	const a = "123456789012"
	private := func(region, partition string) Registry {
		return Registry{Account: a, Region: region, Partition: partition}
	}
	fips := func(r Registry) Registry { r.FIPS = true; return r }
	dual := func(r Registry) Registry { r.DualStack = true; return r }
	public := Registry{Region: "us-east-1", Partition: "aws", Public: true}
	tests := []struct {
		host string
		want Registry // without its Host
	}{
		{a + ".dkr.ecr.eu-west-2.amazonaws.com", private("eu-west-2", "aws")},
		{a + ".dkr.ecr.mx-central-1.amazonaws.com", private("mx-central-1", "aws")},
		{a + ".dkr.ecr.ap-southeast-17.amazonaws.com", private("ap-southeast-17", "aws")},
		{a + ".dkr.ecr-fips.us-east-1.amazonaws.com", fips(private("us-east-1", "aws"))},
		{a + ".dkr-ecr.eu-west-2.on.aws", dual(private("eu-west-2", "aws"))},
		{a + ".dkr-ecr-fips.us-west-2.on.aws", fips(dual(private("us-west-2", "aws")))},
		{a + ".dkr.ecr.us-gov-west-1.amazonaws.com", private("us-gov-west-1", "aws-us-gov")},
		{a + ".dkr.ecr-fips.us-gov-east-1.amazonaws.com",
			fips(private("us-gov-east-1", "aws-us-gov"))},
		{a + ".dkr-ecr-fips.us-gov-west-1.on.aws",
			fips(dual(private("us-gov-west-1", "aws-us-gov")))},
		{a + ".dkr.ecr.cn-north-1.amazonaws.com.cn", private("cn-north-1", "aws-cn")},
		{a + ".dkr-ecr.cn-northwest-1.on.amazonwebservices.com.cn",
			dual(private("cn-northwest-1", "aws-cn"))},
		{a + ".dkr.ecr.eusc-de-east-1.amazonaws.eu", private("eusc-de-east-1", "aws-eusc")},
		{a + ".dkr-ecr.eusc-de-east-1.on.amazonwebservices.eu",
			dual(private("eusc-de-east-1", "aws-eusc"))},
		{a + ".dkr.ecr.us-iso-east-1.c2s.ic.gov", private("us-iso-east-1", "aws-iso")},
		{a + ".dkr.ecr.us-isob-east-1.sc2s.sgov.gov", private("us-isob-east-1", "aws-iso-b")},
		{a + ".dkr.ecr.eu-isoe-west-1.cloud.adc-e.uk", private("eu-isoe-west-1", "aws-iso-e")},
		{a + ".dkr.ecr.us-isof-south-1.csp.hci.ic.gov",
			private("us-isof-south-1", "aws-iso-f")},
		{"public.ecr.aws", public},
		{"ecr-public.aws.com", dual(public)},
	}
	for _, tt := range tests {
		want := tt.want
		want.Host = tt.host
		for _, name := range []string{
			tt.host, "https://" + tt.host, "http://" + tt.host,
			tt.host + ":443", "https://" + tt.host + ":443", "http://" + tt.host + ":443",
			tt.host + "/", tt.host + "/team/app", "https://" + tt.host + "/v2/",
			strings.ToUpper(tt.host), "HTTPS://" + strings.ToUpper(tt.host) + "/v1/",
		} {
			got, ok := Parse(name)
			if !ok || got != want {
				t.Errorf("Parse(%q) = %+v, %v, want %+v", name, got, ok, want)
			}
		}
	}
}

func TestParseNotECR(t *testing.T) {
	const (
		a    = "123456789012"
		host = a + ".dkr.ecr.eu-west-2.amazonaws.com"
	)
	for _, name := range []string{
		"", " ", "/", "https://", "docker.io", "https://index.docker.io/v1/", "ghcr.io",
		"https://not.a.real.registry/url",

		// hosts that contain an ECR host
		host + ".evil.com", host + ".", "." + host, "x" + host, host + "x",
		"evil" + host, "evil-" + host, "evil." + host, "evil.com/" + host, "evil.com#" + host,
		"evil.com?" + host, strings.Replace(host, ".", "-", 1),
		strings.ReplaceAll(host, ".", "\u3002"),
		a + ".dkr.ecr.eu-west-2.amazonaws.com.cn.evil.com",
		a + ".dkr.ecr.eu-west-2.amazonaws.co",
		a + ".dkr.ecr.eu-west-2.amazonaws.org",
		"public.ecr.aws.evil.com", "xpublic.ecr.aws", "public.ecr.awsx",
		"ecr-public.aws.com.evil.com", a + ".public.ecr.aws",

		// user information, fragments, queries, ports and schemes
		"user@" + host, "https://user:pass@" + host, "https://evil.com@" + host, host + "@evil.com",
		host + "/@evil.com", host + "#x", host + "/#x", host + "?x=1", host + "/a?x=1",
		host + ":80", host + ":8443", host + ":443:443", host + ":", host + ":0443",
		"ftp://" + host, "oci://" + host, "docker://" + host, "//" + host, "https:" + host,
		"https:///" + host, "https://https://" + host,
		host + "\\", host + "\\@evil.com", "https:\\\\" + host,

		// look-alike and invisible characters
		"１２３４５６７８９０１２.dkr.ecr.eu-west-2.amazonaws.com",
		a + ".d\u212Ar.ecr.eu-west-2.amazonaws.com",
		a + ".dkr.ecr.eu\u2010west-2.amazonaws.com",
		a + ".dkr.ecr.eu-west-2.amazonaws%2ecom",
		host + "\u200b", "\ufeff" + host, " " + host, host + " ", host + "\n", host + "\x00",
		host + "/a\nb", host + "/\u202e",

		// malformed accounts
		"12345678901.dkr.ecr.eu-west-2.amazonaws.com",
		"1234567890123.dkr.ecr.eu-west-2.amazonaws.com",
		"abcdefghijkl.dkr.ecr.eu-west-2.amazonaws.com", "dkr.ecr.eu-west-2.amazonaws.com",

		// region and suffix of different partitions
		a + ".dkr.ecr.cn-north-1.amazonaws.com", a + ".dkr.ecr.eu-west-2.amazonaws.com.cn",
		a + ".dkr.ecr.us-gov-west-1.amazonaws.com.cn",
		a + ".dkr.ecr.eusc-de-east-1.amazonaws.com", a + ".dkr.ecr.eu-west-2.amazonaws.eu",
		a + ".dkr.ecr.us-iso-east-1.amazonaws.com",
		a + ".dkr.ecr.us-iso-east-1.sc2s.sgov.gov",
		a + ".dkr.ecr.us-east-1.c2s.ic.gov", a + ".dkr-ecr.cn-north-1.on.aws",
		a + ".dkr-ecr.eu-west-2.on.amazonwebservices.com.cn",

		// single-stack names with dual-stack suffixes, and the reverse
		a + ".dkr.ecr.eu-west-2.on.aws", a + ".dkr-ecr.eu-west-2.amazonaws.com",
		a + ".dkr-ecr.us-iso-east-1.c2s.ic.gov", a + ".dkr-ecr.us-iso-east-1.",

		// malformed regions
		a + ".dkr.ecr..amazonaws.com", a + ".dkr.ecr.london.amazonaws.com",
		a + ".dkr.ecr.eu-west-2.x.amazonaws.com", a + ".dkr.ecr.-.amazonaws.com",
		a + ".dkr.ecr.aws-global.amazonaws.com",

		// other AWS names
		"api.ecr.eu-west-2.amazonaws.com", a + ".dkr.s3.eu-west-2.amazonaws.com",
		"s3.amazonaws.com", a + ".dkr_ecr.eu-west-2.amazonaws.com",
		a + ".dkr.ecr-fipsx.us-east-1.amazonaws.com",
	} {
		if got, ok := Parse(name); ok {
			t.Errorf("Parse(%q) = %+v, want not ECR", name, got)
		}
	}
}

func TestHost(t *testing.T) {
	const a = "123456789012"
	for _, tt := range []struct{ account, region, want string }{
		{a, "eu-west-2", a + ".dkr.ecr.eu-west-2.amazonaws.com"},
		{a, "us-gov-west-1", a + ".dkr.ecr.us-gov-west-1.amazonaws.com"},
		{a, "cn-north-1", a + ".dkr.ecr.cn-north-1.amazonaws.com.cn"},
		{a, "eusc-de-east-1", a + ".dkr.ecr.eusc-de-east-1.amazonaws.eu"},
		{a, "us-iso-east-1", a + ".dkr.ecr.us-iso-east-1.c2s.ic.gov"},
		{a, "us-isob-east-1", a + ".dkr.ecr.us-isob-east-1.sc2s.sgov.gov"},
		{a, "eu-isoe-west-1", a + ".dkr.ecr.eu-isoe-west-1.cloud.adc-e.uk"},
		{a, "us-isof-south-1", a + ".dkr.ecr.us-isof-south-1.csp.hci.ic.gov"},
		{a, "", ""}, {a, "london", ""}, {a, "eu-west-2.amazonaws.com/", ""}, {a, "EU-WEST-2", ""},
		{a, "eu-west-2\n", ""},
		{"", "eu-west-2", ""}, {"12345678901", "eu-west-2", ""}, {"1234567890123", "eu-west-2", ""},
		{"evil.com/" + a, "eu-west-2", ""}, {" " + a, "eu-west-2", ""},
		{"https://" + a, "eu-west-2", ""},
	} {
		if got, ok := Host(tt.account, tt.region); got != tt.want || ok != (tt.want != "") {
			t.Errorf("Host(%q, %q) = %q, %v, want %q", tt.account, tt.region, got, ok, tt.want)
		}
	}
}

// privateHost is the set of hosts that Parse accepts as private registries, as a regular expression.
var privateHost = regexp.MustCompile(`^[0-9]{12}\.dkr(` +
	`\.ecr(-fips)?\.([a-z]{2}|us-gov)-[a-z]+-[0-9]{1,2}\.amazonaws\.com|` +
	`-ecr(-fips)?\.([a-z]{2}|us-gov)-[a-z]+-[0-9]{1,2}\.on\.aws|` +
	`\.ecr(-fips)?\.cn-[a-z]+-[0-9]{1,2}\.amazonaws\.com\.cn|` +
	`-ecr(-fips)?\.cn-[a-z]+-[0-9]{1,2}\.on\.amazonwebservices\.com\.cn|` +
	`\.ecr(-fips)?\.eusc-[a-z]{2}-[a-z]+-[0-9]{1,2}\.amazonaws\.eu|` +
	`-ecr(-fips)?\.eusc-[a-z]{2}-[a-z]+-[0-9]{1,2}\.on\.amazonwebservices\.eu|` +
	`\.ecr(-fips)?\.us-iso-[a-z]+-[0-9]{1,2}\.c2s\.ic\.gov|` +
	`\.ecr(-fips)?\.us-isob-[a-z]+-[0-9]{1,2}\.sc2s\.sgov\.gov|` +
	`\.ecr(-fips)?\.eu-isoe-[a-z]+-[0-9]{1,2}\.cloud\.adc-e\.uk|` +
	`\.ecr(-fips)?\.us-isof-[a-z]+-[0-9]{1,2}\.csp\.hci\.ic\.gov` +
	`)$`)

// wrongChinaSuffix matches the hosts that privateHost accepts and Parse does not: China's regions
// with the suffixes of the commercial partition.
var wrongChinaSuffix = regexp.MustCompile(`\.cn-[a-z]+-[0-9]+\.(amazonaws\.com|on\.aws)$`)

// FuzzParse checks that Parse accepts only hosts under suffixes that Amazon owns, that it agrees
// with privateHost, and that parsing the Host of the result returns the same registry.
func FuzzParse(f *testing.F) {
	for _, s := range []string{
		"123456789012.dkr.ecr.eu-west-2.amazonaws.com",
		"https://123456789012.dkr-ecr-fips.us-west-2.on.aws:443/x",
		"PUBLIC.ecr.aws", "ecr-public.aws.com",
		"123456789012.dkr.ecr.cn-north-1.amazonaws.com.cn",
		"123456789012.dkr.ecr.cn-north-1.amazonaws.com",
		"123456789012.dkr-ecr.cn-north-1.on.aws",
		"123456789012.dkr.ecr.us-gov-west-1.amazonaws.com",
		"123456789012.dkr.ecr.eusc-de-east-1.amazonaws.eu",
		"123456789012.dkr.ecr.us-isob-east-1.sc2s.sgov.gov",
		"123456789012.dkr-ecr.eusc-de-east-1.on.amazonwebservices.eu",
		"123456789012.dkr-ecr.us-iso-east-1.", "123456789012.dkr-ecr.us-iso-east-1",
		"https://evil.com@123456789012.dkr.ecr.eu-west-2.amazonaws.com", "\u212A",
	} {
		f.Add(s)
	}
	suffixes := []string{
		".amazonaws.com", ".on.aws", ".amazonaws.com.cn", ".on.amazonwebservices.com.cn",
		".amazonaws.eu", ".on.amazonwebservices.eu", ".c2s.ic.gov", ".sc2s.sgov.gov",
		".cloud.adc-e.uk", ".csp.hci.ic.gov",
	}
	f.Fuzz(func(t *testing.T, s string) {
		r, ok := Parse(s)
		if host, isHost := hostOf(s); isHost && !r.Public {
			want := privateHost.MatchString(host) && !wrongChinaSuffix.MatchString(host)
			if ok != want {
				t.Errorf("Parse(%q) returned %v, and the regular expression %v", s, ok, want)
			}
		}
		if !ok {
			if r != (Registry{}) {
				t.Errorf("Parse(%q) returned false and %+v", s, r)
			}
			return
		}
		if again, ok := Parse(r.Host); !ok || again != r {
			t.Errorf("Parse(%q).Host = %q, which Parse returns as %+v, %v", s, r.Host, again, ok)
		}
		if !strings.Contains(lower(s), r.Host) {
			t.Errorf("Parse(%q) returned the host %q, which is not in its input", s, r.Host)
		}
		if r.Public {
			return
		}
		owned := false
		for _, suffix := range suffixes {
			owned = owned || strings.HasSuffix(r.Host, suffix)
		}
		if !owned || len(r.Account) != 12 || r.Region == "" || r.Partition == "" ||
			strings.ContainsAny(r.Host, "/:@?#\\ ") {
			t.Errorf("Parse(%q) = %+v", s, r)
		}
	})
}

// BenchmarkParse measures Parse, which every get calls twice.
func BenchmarkParse(b *testing.B) {
	for _, host := range []string{"123456789012.dkr.ecr.eu-west-2.amazonaws.com", "ghcr.io"} {
		b.Run(host, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				Parse(host)
			}
		})
	}
}
