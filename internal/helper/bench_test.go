package helper

import (
	"strings"
	"testing"
	"time"

	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/cache"
)

// BenchmarkGet measures a cache hit without the start of the process: registry, settings, identity,
// cache key, entry. e2e/bench measures the whole process.
func BenchmarkGet(b *testing.B) {
	const host = "123456789012.dkr.ecr.eu-west-2.amazonaws.com"
	h := newHelper("GITHUB_ACTIONS=true", "GITHUB_REPOSITORY=acme/app", "GITHUB_RUN_ID=1",
		"RUNNER_TEMP="+b.TempDir(), "ECR_OIDC_ROLE=ci",
		"ACTIONS_ID_TOKEN_REQUEST_URL=https://localhost:1/",
		"ACTIONS_ID_TOKEN_REQUEST_TOKEN=the-request-token-of-this-job")
	in := loginInputFor(b, h, host)
	e := cache.Entry{Username: "AWS", Secret: strings.Repeat("x", 2500), CreatedAt: time.Now(),
		TTL: 12 * time.Hour, FreshFor: 12 * time.Hour}
	if err := h.cacheFor(in).Put(h.cacheKey(in), e); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, secret, err := h.Get(b.Context(), host); err != nil || secret != e.Secret {
			b.Fatal(err)
		}
	}
}
