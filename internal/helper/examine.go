package helper

import (
	"context"
	"errors"
	"time"

	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/cache"
	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/config"
	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/exchange"
	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/registry"
	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/token"
)

// Examination is what a get for a registry decides and meets, step by step. What comes after the step that failed is
// zero.
type Examination struct {
	Registry registry.Registry
	Plan     config.Plan
	Source   token.Source
	STS, ECR string             // where they are asked
	Token    token.Token        // of an OIDC source
	Passed   []exchange.Outcome // what AWS let pass
	Skew     time.Duration      // by how much this machine's clock is ahead of the token's; 0 where that cannot be said
	Err      error              // what the get would say; nil when it would answer

	Anonymous bool   // the answer is "not found", and the client goes on without a login
	CacheDir  string // where entries lie; "" when there are none, and CacheErr says why
	CacheErr  error
	Cached    *cache.Entry // the entry for this question, also one that has expired
	Stored    *cache.Entry // another tool's login, which get returns before all else
	Ignored   *cache.Entry // another tool's login, which get ignores because ECR_OIDC_STORED_LOGINS is off

	Repeated error     // the failure of a moment ago with which get answers before it asks anybody; nil when there is none
	Until    time.Time // and until when it does
}

// Examine does what Get does before it asks anybody: it decides who we are and whom to ask, and looks into the cache.
func (h Helper) Examine(ctx context.Context, reg registry.Registry) (x Examination) {
	x.Registry = reg
	if x.Plan, x.Err = h.plan(reg); x.Err != nil {
		x.Anonymous = errors.Is(x.Err, config.ErrNotAllowed)
		return x
	}
	var noIdentity error
	x.Source, noIdentity = token.Identify(h.Env, x.Plan.Place, x.Plan.Choice, len(x.Plan.Roles) > 0)
	store := h.lookUp(&x)
	if reg.Public && len(x.Plan.Roles) == 0 {
		x.Anonymous = x.Stored == nil
		return x
	}
	if x.Err = noIdentity; x.Err != nil {
		return x
	}
	if f, left, ok := store.Failure(h.cacheKey(x.Plan, x.Source)); ok && (x.Cached == nil || !x.Cached.IsFresh(time.Now())) {
		x.Repeated, x.Until = decodeError(&f, x.Plan), time.Now().Add(left)
	}
	if _, x.Err = caBundle(h.Env); x.Err != nil { // before the SDK reads all of it
		return x
	}
	x.STS, x.ECR, x.Err = exchange.Endpoints(ctx, exchange.Request{Plan: x.Plan, Source: x.Source, Env: h.Env, Debug: h.Debug})
	return x
}

// Settled says whether there is nobody to ask: the answer is there already, or cannot be had.
func (x Examination) Settled() bool { return x.Err != nil || x.Anonymous || x.ECR == "" }

// Ask does the rest of what Get does, afresh: it asks the CI and AWS whatever is in the cache, and writes nothing there.
// It blocks as long as a get that fills. It is not for what is settled.
func (h Helper) Ask(ctx context.Context, x Examination) Examination {
	h.token = func(t token.Token) {
		x.Token = t
		if !t.Claims.Issued.IsZero() && x.Source.Asked() {
			x.Skew = time.Since(t.Claims.Issued)
		}
	}
	ctx, cancel := context.WithTimeout(ctx, cache.FetchTimeout)
	defer cancel()
	h.step = func(o exchange.Outcome) { x.Passed = append(x.Passed, o) }
	_, x.Err = h.fetch(ctx, x.Plan, x.Source)
	return x
}

// lookUp finds what the cache has, without making it, and returns the cache.
func (h Helper) lookUp(x *Examination) *cache.Cache {
	store, err := h.openCache(x.Plan, x.Source, cache.Find)
	if err != nil {
		x.CacheErr = err
		return nil
	}
	x.CacheDir = store.Dir()
	if e, ok := store.Read(h.cacheKey(x.Plan, x.Source)); ok {
		x.Cached = &e
	}
	if e, ok := store.Get(loginKey(x.Registry)); ok {
		if x.Plan.StoredLogins {
			x.Stored = &e
		} else {
			x.Ignored = &e
		}
	}
	return store
}
