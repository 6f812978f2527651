package e2e

import (
	"strings"
	"testing"
	"time"

	"github.com/ecr-oidc/docker-credential-ecr-oidc/e2e/emulator"
)

// When the role session behind a password is over, AWS is asked again: once, not by every get, and the password at hand
// serves on unless AWS says no.
func TestRefresh(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name    string
		change  func(*job) // what happens before the session is over
		changes bool       // a new password comes of it
		refused string     // or this is said
		service string     // what is asked again, to begin with
	}{
		{"all is well", func(*job) {}, true, "", "ecr"},
		{"STS has a bad day", func(j *job) { j.server.Fail("sts", emulator.Fault{Status: 500}) }, false, "", "sts"},
		{"STS hangs", func(j *job) { j.server.Fail("sts", emulator.Fault{Hang: true}) }, false, "", "sts"},
		{"ECR has a bad day", func(j *job) { j.server.Fail("ecr", emulator.Fault{Status: 503}) }, false, "", "ecr"},
		{"GitHub has a bad day", func(j *job) { j.server.Fail("oidc", emulator.Fault{Status: 503}) }, false, "", "oidc"},
		{"the job's token cannot be had any more", func(j *job) { j.server.Fail("oidc", emulator.Fault{Status: 401}) }, false, "", "oidc"},
		{"the token has expired", func(j *job) { j.server.Fail("sts", emulator.Fault{Code: "ExpiredTokenException"}) }, false, "", "sts"},
		{"AWS cannot fetch the issuer's keys", func(j *job) {
			j.server.Fail("sts", emulator.Fault{Code: "InvalidIdentityToken", Message: "Couldn't retrieve verification key from your identity provider"})
		}, false, "", "sts"},
		{"the trust policy was changed", func(j *job) {
			j.server.Fail("sts", emulator.Fault{Status: 403, Code: "AccessDenied"})
		}, false, "AccessDenied", "sts"},
		{"the role may not use ECR any more", func(j *job) {
			j.server.Fail("ecr", emulator.Fault{Code: "AccessDeniedException"})
		}, false, "AccessDeniedException", "ecr"},
		{"the provider is gone", func(j *job) {
			j.server.Fail("sts", emulator.Fault{Code: "InvalidIdentityToken", Message: "No OpenIDConnect provider found in your account"})
		}, false, "InvalidIdentityToken", "sts"},
		{"the issuer rejects the claim", func(j *job) { j.server.Fail("sts", emulator.Fault{Status: 403, Code: "IDPRejectedClaim"}) }, false, "IDPRejectedClaim", "sts"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			j := newJobIn(t, emulator.Options{SessionTTL: time.Second, GitHubTokenTTL: time.Minute})
			get := func() answered {
				stdout, stderr, err := j.get(usual)
				return answered{stdout, stderr, err}
			}
			old := get().password(t)
			tt.change(j)
			before := j.server.Count(tt.service)
			last, start := get(), time.Now()
			for j.server.Count(tt.service) == before { // the session is not over yet
				if last.password(t) != old {
					t.Fatal("another password without a call")
				}
				if time.Since(start) > time.Minute {
					t.Fatal("AWS was never asked again")
				}
				last = get()
			}
			calls := len(j.server.Calls())
			again := get()
			switch {
			case tt.refused != "":
				if last.err == nil || !strings.Contains(last.stdout, tt.refused) || last.stdout != last.stderr || again.stdout != last.stdout {
					t.Errorf("%v: %s%s", last.err, last.stdout, last.stderr)
				}
				j.server.ClearFaults()
				if stdout, stderr, err := j.run("erase", usual); err != nil {
					t.Fatal(err, stdout, stderr)
				}
				if get().password(t) == old {
					t.Error("the old password came back")
				}
				return
			case tt.changes:
				if last.password(t) == old {
					t.Error("still the old password")
				}
				return
			default:
				if last.password(t) != old || last.stderr != "" || again.password(t) != old {
					t.Errorf("%v, then %v", last, again)
				}
			}
			if n := len(j.server.Calls()); n != calls {
				t.Errorf("%d more calls by the next get", n-calls)
			}
		})
	}
}
