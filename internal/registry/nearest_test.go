package registry

import "testing"

func TestNearestHost(t *testing.T) {
	const (
		london   = "123456789012.dkr.ecr.eu-west-2.amazonaws.com"
		virginia = "123456789012.dkr.ecr-fips.us-east-1.amazonaws.com"
	)
	for mistyped, want := range map[string]string{
		"123456789012.dkr.ecr.eu-wst-2.amazonaws.com":              london,
		"123456789012.dkr.ecr.eu-west2.amazonaws.com":              london,
		"https://123456789012.dkr.ecr.eu-wets-2.amazonaws.com/app": london,
		"123456789012.dkr.ecr-fips.us-est-1.amazonaws.com":         virginia,
		"123456789012.dkr.ecr.nowhere.amazonaws.com":               "",
		"123456789012.dkr.ecr.cn-nort-1.amazonaws.com":             "", // China has another suffix
		"12345678901.dkr.ecr.eu-wst-2.amazonaws.com":               "",
		"ghcr.io": "",
		"":        "",
	} {
		if got := NearestHost(mistyped); got != want {
			t.Errorf("NearestHost(%q) = %q, want %q", mistyped, got, want)
		}
	}
	if !IsListedRegion("eu-west-2") || IsListedRegion("eu-wst-2") ||
		NearestRegion("eu-wst-2") != "eu-west-2" {
		t.Error("eu-west-2 and eu-wst-2")
	}
}
