package registry

import (
	"regexp"
	"strings"
	"testing"
)

func TestParse(t *testing.T) {
	const a = "123456789012"
	private := func(host, region, partition string) Registry {
		return Registry{Host: host, Account: a, Region: region, Partition: partition}
	}
	fips := func(r Registry) Registry { r.FIPS = true; return r }
	dual := func(r Registry) Registry { r.DualStack = true; return r }
	tests := []struct {
		in   string
		want Registry
	}{
		{a + ".dkr.ecr.eu-west-2.amazonaws.com", private(a+".dkr.ecr.eu-west-2.amazonaws.com", "eu-west-2", "aws")},
		{a + ".dkr.ecr.mx-central-1.amazonaws.com", private(a+".dkr.ecr.mx-central-1.amazonaws.com", "mx-central-1", "aws")},
		{a + ".dkr.ecr.ap-southeast-17.amazonaws.com", private(a+".dkr.ecr.ap-southeast-17.amazonaws.com", "ap-southeast-17", "aws")},
		{a + ".dkr.ecr-fips.us-east-1.amazonaws.com", fips(private(a+".dkr.ecr-fips.us-east-1.amazonaws.com", "us-east-1", "aws"))},
		{a + ".dkr-ecr.eu-west-2.on.aws", dual(private(a+".dkr-ecr.eu-west-2.on.aws", "eu-west-2", "aws"))},
		{a + ".dkr-ecr-fips.us-west-2.on.aws", fips(dual(private(a+".dkr-ecr-fips.us-west-2.on.aws", "us-west-2", "aws")))},
		{a + ".dkr.ecr.us-gov-west-1.amazonaws.com", private(a+".dkr.ecr.us-gov-west-1.amazonaws.com", "us-gov-west-1", "aws-us-gov")},
		{a + ".dkr.ecr-fips.us-gov-east-1.amazonaws.com", fips(private(a+".dkr.ecr-fips.us-gov-east-1.amazonaws.com", "us-gov-east-1", "aws-us-gov"))},
		{a + ".dkr-ecr-fips.us-gov-west-1.on.aws", fips(dual(private(a+".dkr-ecr-fips.us-gov-west-1.on.aws", "us-gov-west-1", "aws-us-gov")))},
		{a + ".dkr.ecr.cn-north-1.amazonaws.com.cn", private(a+".dkr.ecr.cn-north-1.amazonaws.com.cn", "cn-north-1", "aws-cn")},
		{a + ".dkr-ecr.cn-northwest-1.on.amazonwebservices.com.cn", dual(private(a+".dkr-ecr.cn-northwest-1.on.amazonwebservices.com.cn", "cn-northwest-1", "aws-cn"))},
		{a + ".dkr.ecr.eusc-de-east-1.amazonaws.eu", private(a+".dkr.ecr.eusc-de-east-1.amazonaws.eu", "eusc-de-east-1", "aws-eusc")},
		{a + ".dkr-ecr.eusc-de-east-1.on.amazonwebservices.eu", dual(private(a+".dkr-ecr.eusc-de-east-1.on.amazonwebservices.eu", "eusc-de-east-1", "aws-eusc"))},
		{a + ".dkr.ecr.us-iso-east-1.c2s.ic.gov", private(a+".dkr.ecr.us-iso-east-1.c2s.ic.gov", "us-iso-east-1", "aws-iso")},
		{a + ".dkr.ecr.us-isob-east-1.sc2s.sgov.gov", private(a+".dkr.ecr.us-isob-east-1.sc2s.sgov.gov", "us-isob-east-1", "aws-iso-b")},
		{a + ".dkr.ecr.eu-isoe-west-1.cloud.adc-e.uk", private(a+".dkr.ecr.eu-isoe-west-1.cloud.adc-e.uk", "eu-isoe-west-1", "aws-iso-e")},
		{a + ".dkr.ecr.us-isof-south-1.csp.hci.ic.gov", private(a+".dkr.ecr.us-isof-south-1.csp.hci.ic.gov", "us-isof-south-1", "aws-iso-f")},
		{"public.ecr.aws", Registry{Host: "public.ecr.aws", Region: "us-east-1", Partition: "aws", Public: true}},
		{"ecr-public.aws.com", Registry{Host: "ecr-public.aws.com", Region: "us-east-1", Partition: "aws", Public: true, DualStack: true}},
	}
	for _, tt := range tests {
		for _, form := range []string{
			tt.in, "https://" + tt.in, "http://" + tt.in, tt.in + ":443", "https://" + tt.in + ":443", "http://" + tt.in + ":443",
			tt.in + "/", tt.in + "/team/app", "https://" + tt.in + "/v2/", strings.ToUpper(tt.in), "HTTPS://" + strings.ToUpper(tt.in) + "/v1/",
		} {
			got, ok := Parse(form)
			if !ok || got != tt.want {
				t.Errorf("Parse(%q) = %+v, %v, want %+v", form, got, ok, tt.want)
			}
		}
	}
}

func TestParseRefuses(t *testing.T) {
	const good = "123456789012.dkr.ecr.eu-west-2.amazonaws.com"
	for _, in := range []string{
		"", " ", "/", "https://", "docker.io", "https://index.docker.io/v1/", "ghcr.io", "https://not.a.real.registry/url",
		// look-alikes
		good + ".evil.com", good + ".", "." + good, "evil.com/" + good, "evil.com#" + good, "evil.com?" + good, "x" + good, good + "x",
		"evil" + good, "evil-" + good, "evil." + good, strings.Replace(good, ".", "-", 1), strings.ReplaceAll(good, ".", "\u3002"),
		"123456789012.dkr.ecr.eu-west-2.amazonaws.com.cn.evil.com", "123456789012.dkr.ecr.eu-west-2.amazonaws.co", "123456789012.dkr.ecr.eu-west-2.amazonaws.org",
		"public.ecr.aws.evil.com", "xpublic.ecr.aws", "public.ecr.awsx", "ecr-public.aws.com.evil.com", "123456789012.public.ecr.aws",
		// userinfo, fragments, queries, ports, schemes
		"user@" + good, "https://user:pass@" + good, "https://evil.com@" + good, good + "@evil.com", good + "/@evil.com", good + "#x", good + "/#x", good + "?x=1", good + "/a?x=1",
		good + ":80", good + ":8443", good + ":443:443", good + ":", good + ":0443", "ftp://" + good, "oci://" + good, "docker://" + good, "//" + good, "https:" + good, "https:///" + good,
		"https://https://" + good, good + "\\", good + "\\@evil.com", "https:\\\\" + good,
		// characters that look alike or hide
		"１２３４５６７８９０１２.dkr.ecr.eu-west-2.amazonaws.com", "123456789012.d\u212Ar.ecr.eu-west-2.amazonaws.com", "123456789012.dkr.ecr.eu\u2010west-2.amazonaws.com",
		good + "\u200b", "\ufeff" + good, " " + good, good + " ", good + "\n", good + "\x00", good + "/a\nb", good + "/\u202e", "123456789012.dkr.ecr.eu-west-2.amazonaws%2ecom",
		// accounts
		"12345678901.dkr.ecr.eu-west-2.amazonaws.com", "1234567890123.dkr.ecr.eu-west-2.amazonaws.com", "abcdefghijkl.dkr.ecr.eu-west-2.amazonaws.com", "dkr.ecr.eu-west-2.amazonaws.com",
		// region and suffix of two partitions
		"123456789012.dkr.ecr.cn-north-1.amazonaws.com", "123456789012.dkr.ecr.eu-west-2.amazonaws.com.cn", "123456789012.dkr.ecr.us-gov-west-1.amazonaws.com.cn",
		"123456789012.dkr.ecr.eusc-de-east-1.amazonaws.com", "123456789012.dkr.ecr.eu-west-2.amazonaws.eu", "123456789012.dkr.ecr.us-iso-east-1.amazonaws.com",
		"123456789012.dkr.ecr.us-iso-east-1.sc2s.sgov.gov", "123456789012.dkr.ecr.us-east-1.c2s.ic.gov", "123456789012.dkr-ecr.cn-north-1.on.aws", "123456789012.dkr-ecr.eu-west-2.on.amazonwebservices.com.cn",
		// single-stack names on dual-stack suffixes and the other way round
		"123456789012.dkr.ecr.eu-west-2.on.aws", "123456789012.dkr-ecr.eu-west-2.amazonaws.com", "123456789012.dkr-ecr.us-iso-east-1.c2s.ic.gov", "123456789012.dkr-ecr.us-iso-east-1.",
		// regions that are none
		"123456789012.dkr.ecr..amazonaws.com", "123456789012.dkr.ecr.london.amazonaws.com", "123456789012.dkr.ecr.eu-west-2.x.amazonaws.com", "123456789012.dkr.ecr.-.amazonaws.com", "123456789012.dkr.ecr.aws-global.amazonaws.com",
		// other AWS names
		"api.ecr.eu-west-2.amazonaws.com", "123456789012.dkr.s3.eu-west-2.amazonaws.com", "s3.amazonaws.com", "123456789012.dkr_ecr.eu-west-2.amazonaws.com", "123456789012.dkr.ecr-fipsx.us-east-1.amazonaws.com",
	} {
		if got, ok := Parse(in); ok {
			t.Errorf("Parse(%q) = %+v, want not ECR", in, got)
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
		{a, "", ""}, {a, "london", ""}, {a, "eu-west-2.amazonaws.com/", ""}, {a, "EU-WEST-2", ""}, {a, "eu-west-2\n", ""},
		{"", "eu-west-2", ""}, {"12345678901", "eu-west-2", ""}, {"1234567890123", "eu-west-2", ""}, {"evil.com/" + a, "eu-west-2", ""}, {" " + a, "eu-west-2", ""}, {"https://" + a, "eu-west-2", ""},
	} {
		if got, ok := Host(tt.account, tt.region); got != tt.want || ok != (tt.want != "") {
			t.Errorf("Host(%q, %q) = %q, %v, want %q", tt.account, tt.region, got, ok, tt.want)
		}
	}
}

// private is what Parse reads by hand.
var private = regexp.MustCompile(`^[0-9]{12}\.dkr(` +
	`\.ecr(-fips)?\.([a-z]{2}|us-gov)-[a-z]+-[0-9]{1,2}\.amazonaws\.com|-ecr(-fips)?\.([a-z]{2}|us-gov)-[a-z]+-[0-9]{1,2}\.on\.aws|` +
	`\.ecr(-fips)?\.cn-[a-z]+-[0-9]{1,2}\.amazonaws\.com\.cn|-ecr(-fips)?\.cn-[a-z]+-[0-9]{1,2}\.on\.amazonwebservices\.com\.cn|` +
	`\.ecr(-fips)?\.eusc-[a-z]{2}-[a-z]+-[0-9]{1,2}\.amazonaws\.eu|-ecr(-fips)?\.eusc-[a-z]{2}-[a-z]+-[0-9]{1,2}\.on\.amazonwebservices\.eu|` +
	`\.ecr(-fips)?\.us-iso-[a-z]+-[0-9]{1,2}\.c2s\.ic\.gov|\.ecr(-fips)?\.us-isob-[a-z]+-[0-9]{1,2}\.sc2s\.sgov\.gov|` +
	`\.ecr(-fips)?\.eu-isoe-[a-z]+-[0-9]{1,2}\.cloud\.adc-e\.uk|\.ecr(-fips)?\.us-isof-[a-z]+-[0-9]{1,2}\.csp\.hci\.ic\.gov` +
	`)$`)

// notChina are names that private lets pass: China's regions have the commercial form.
var notChina = regexp.MustCompile(`\.cn-[a-z]+-[0-9]+\.(amazonaws\.com|on\.aws)$`)

// FuzzParse holds that whatever is accepted is a name that only Amazon can own, by a second reading of it too, and that
// reading the answer's host again gives the same registry.
func FuzzParse(f *testing.F) {
	for _, s := range []string{
		"123456789012.dkr.ecr.eu-west-2.amazonaws.com", "https://123456789012.dkr-ecr-fips.us-west-2.on.aws:443/x", "PUBLIC.ecr.aws", "ecr-public.aws.com",
		"123456789012.dkr.ecr.cn-north-1.amazonaws.com.cn", "123456789012.dkr.ecr.cn-north-1.amazonaws.com", "123456789012.dkr-ecr.cn-north-1.on.aws",
		"123456789012.dkr.ecr.us-gov-west-1.amazonaws.com", "123456789012.dkr.ecr.eusc-de-east-1.amazonaws.eu", "123456789012.dkr.ecr.us-isob-east-1.sc2s.sgov.gov",
		"123456789012.dkr-ecr.eusc-de-east-1.on.amazonwebservices.eu", "123456789012.dkr-ecr.us-iso-east-1.", "123456789012.dkr-ecr.us-iso-east-1", "https://evil.com@123456789012.dkr.ecr.eu-west-2.amazonaws.com", "\u212A",
	} {
		f.Add(s)
	}
	suffixes := []string{".amazonaws.com", ".on.aws", ".amazonaws.com.cn", ".on.amazonwebservices.com.cn", ".amazonaws.eu", ".on.amazonwebservices.eu", ".c2s.ic.gov", ".sc2s.sgov.gov", ".cloud.adc-e.uk", ".csp.hci.ic.gov"}
	f.Fuzz(func(t *testing.T, s string) {
		r, ok := Parse(s)
		if host, isHost := hostOf(s); isHost && !r.Public && ok != (private.MatchString(host) && !notChina.MatchString(host)) {
			t.Errorf("Parse(%q) = %v, and a regular expression says %v", s, ok, !ok)
		}
		if !ok {
			if r != (Registry{}) {
				t.Errorf("Parse(%q) refused and returned %+v", s, r)
			}
			return
		}
		if again, ok := Parse(r.Host); !ok || again != r {
			t.Errorf("Parse(%q).Host = %q, which reads as %+v, %v", s, r.Host, again, ok)
		}
		if !strings.Contains(lower(s), r.Host) {
			t.Errorf("Parse(%q) made up the host %q", s, r.Host)
		}
		if r.Public {
			return
		}
		owned := false
		for _, suffix := range suffixes {
			owned = owned || strings.HasSuffix(r.Host, suffix)
		}
		if !owned || len(r.Account) != 12 || r.Region == "" || r.Partition == "" || strings.ContainsAny(r.Host, "/:@?#\\ ") {
			t.Errorf("Parse(%q) = %+v", s, r)
		}
	})
}

// BenchmarkParse is done twice by every get, and decides that a registry is not ours at once.
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
