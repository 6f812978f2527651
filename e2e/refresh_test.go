package e2e

import (
	"strings"
	"testing"
	"time"

	"github.com/ecr-oidc/docker-credential-ecr-oidc/e2e/emulator"
)

// TestRefresh checks a get after the role session of a cached password has expired. One get requests a
// new password. If that fails, the cached password stays in use, unless AWS refuses the role.
func TestRefresh(t *testing.T) {
	t.Parallel()
	slow(t, "waits for role sessions to end")
	for _, tt := range []struct {
		name    string
		arrange func(*job) // before the session expires
		renewed bool       // the get returns a new password
		refused string     // or this error
		service string     // receives the first call
	}{
		{"no fault", func(*job) {}, true, "", "ecr"},
		{"STS fails", func(j *job) { j.server.AddFault("sts", emulator.Fault{Status: 500}) }, false, "", "sts"},
		{"STS hangs", func(j *job) { j.server.AddFault("sts", emulator.Fault{Hang: true}) }, false, "", "sts"},
		{"ECR fails", func(j *job) { j.server.AddFault("ecr", emulator.Fault{Status: 503}) }, false, "", "ecr"},
		{"GitHub fails", func(j *job) { j.server.AddFault("oidc", emulator.Fault{Status: 503}) }, false, "", "oidc"},
		{"the job gets no token", func(j *job) { j.server.AddFault("oidc", emulator.Fault{Status: 401}) }, false, "", "oidc"},
		{"the token has expired", func(j *job) { j.server.AddFault("sts", emulator.Fault{Code: "ExpiredTokenException"}) }, false, "", "sts"},
		{"AWS cannot fetch the keys of the issuer", func(j *job) {
			j.server.AddFault("sts", emulator.Fault{Code: "InvalidIdentityToken", Message: "Couldn't retrieve verification key from your identity provider"})
		}, false, "", "sts"},
		{"the trust policy was changed", func(j *job) {
			j.server.AddFault("sts", emulator.Fault{Status: 403, Code: "AccessDenied"})
		}, false, "AccessDenied", "sts"},
		{"the role lost its permission for ECR", func(j *job) {
			j.server.AddFault("ecr", emulator.Fault{Code: "AccessDeniedException"})
		}, false, "AccessDeniedException", "ecr"},
		{"the provider was deleted", func(j *job) {
			j.server.AddFault("sts", emulator.Fault{Code: "InvalidIdentityToken", Message: "No OpenIDConnect provider found in your account"})
		}, false, "InvalidIdentityToken", "sts"},
		{"the issuer rejects the claim", func(j *job) { j.server.AddFault("sts", emulator.Fault{Status: 403, Code: "IDPRejectedClaim"}) }, false, "IDPRejectedClaim", "sts"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			j := newJobIn(t, emulator.Options{SessionTTL: time.Second, GitHubTokenTTL: time.Minute})
			get := func() getResult {
				stdout, stderr, err := j.get(defaultHost)
				return getResult{stdout, stderr, err}
			}
			old := get().password(t)
			tt.arrange(j)
			before := j.server.Count(tt.service)
			last, start := get(), time.Now()
			for j.server.Count(tt.service) == before { // the session has not expired yet
				if last.password(t) != old {
					t.Fatal("a different password without a call")
				}
				if time.Since(start) > time.Minute {
					t.Fatal("no call to AWS")
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
				if stdout, stderr, err := j.run("erase", defaultHost); err != nil {
					t.Fatal(err, stdout, stderr)
				}
				if get().password(t) == old {
					t.Error("erase did not delete the old password")
				}
				return
			case tt.renewed:
				if last.password(t) == old {
					t.Error("the password is the old one")
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
