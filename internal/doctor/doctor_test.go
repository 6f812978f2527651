package doctor

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/cache"
	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/exchange"
	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/explain"
	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/helper"
	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/registry"
	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/token"
)

const host = "123456789012.dkr.ecr.eu-west-2.amazonaws.com"

func TestDecodeClaims(t *testing.T) {
	const other = "210987654321.dkr.ecr.eu-west-2.amazonaws.com"
	parse := func(hosts ...string) (regs []registry.Registry) {
		for _, host := range hosts {
			reg, ok := registry.Parse(host)
			if !ok {
				t.Fatal(host)
			}
			regs = append(regs, reg)
		}
		return regs
	}
	entry := func(host, role, sub string) string {
		return fmt.Sprintf(`{"registry": %q, "role": %q, "token": {"claims": {
			"iss": "https://x", "sub": %q, "n": 19521337042123456789}}}`, host, role, sub)
	}
	noToken := `{"registry": "public.ecr.aws", "ready": false}`
	report := func(registries ...string) string {
		return `{"format_version": 1, "version": "x", "ready": false, "unknown": {}, "registries": [` +
			strings.Join(registries, ", ") + `]}`
	}
	for _, tt := range []struct {
		name, text string
		regs       []registry.Registry
		role, sub  string
		wantErr    string
	}{
		{name: "claims", text: `{"iss": "https://x", "sub": "s"}`, sub: "s"},
		{name: "claims and a registry", text: `{"iss": "https://x", "sub": "s"}`,
			regs: parse(other), sub: "s"},
		{name: "issuer that is not a string", text: `{"iss": 5, "sub": "s"}`, sub: "s"},
		{name: "report", text: report(entry(host, "r", "s")), role: "r", sub: "s"},
		{name: "first registry with a token",
			text: report(noToken, entry(other, "r2", "s2"), entry(host, "r", "s")), role: "r2",
			sub: "s2"},
		{name: "selected registry",
			text: report(noToken, entry(other, "r2", "s2"), entry(host, "r", "s")),
			regs: parse(host), role: "r", sub: "s"},
		{name: "several selected registries",
			text: report(entry(other, "r2", "s2"), entry(host, "r", "s")),
			regs: parse("public.ecr.aws", host), role: "r", sub: "s"},
		{name: "unknown values of a later version",
			text: strings.Replace(report(entry(host, "r", "s")), `"token"`,
				`"policy": {"verdict": {"admits": "perhaps"}}, "checks": 5, "token"`, 1),
			role: "r", sub: "s"},
		{name: "registry not in the report", text: report(entry(host, "r", "s")), regs: parse(other),
			wantErr: "the report contains no token"},
		{name: "no token", text: report(noToken), wantErr: "the report contains no token"},
		{name: "no registries", text: report(), wantErr: "the report contains no token"},
		{name: "other format version", text: strings.Replace(report(), `"format_version": 1`,
			`"format_version": 7`, 1),
			wantErr: "the report has format version 7, and this version of doctor reads 1"},
		{name: "format version that is not a number", text: `{"format_version": "1"}`,
			wantErr: `no "iss"`},
		{name: "neither claims nor report", text: `{"sub": "s"}`, wantErr: `no "iss"`},
		{name: "null", text: `null`, wantErr: `no "iss"`},
		{name: "list", text: `[]`, wantErr: "not a JSON object"},
		{name: "token", text: `eyJhbGciOiJSUzI1NiJ9.e30.c2lnbmF0dXJl`,
			wantErr: "not a JSON object"},
		{name: "empty", text: ``, wantErr: "not a JSON object"},
	} {
		got, err := decodeClaims([]byte(tt.text), tt.regs)
		role, claims := got.Role, got.Claims
		if (err == nil) != (tt.wantErr == "") ||
			err != nil && !strings.Contains(err.Error(), tt.wantErr) || role != tt.role ||
			claimText(claims["sub"]) != tt.sub {
			t.Errorf("%s: %q, %v, %v", tt.name, role, claims, err)
		}
		if n, ok := claims["n"]; ok && n != json.Number("19521337042123456789") {
			t.Errorf("%s: %v", tt.name, n)
		}
	}
}

func TestNewToken(t *testing.T) {
	for aud, want := range map[string][]string{`"a"`: {"a"}, `["a", "b"]`: {"a", "b"}, `[]`: {},
		`null`: {}, `5`: {"5"}, `{"a": 1}`: {`{"a":1}`}} {
		var claims map[string]any
		if err := json.Unmarshal([]byte(`{"iss": "i", "sub": "s", "aud": `+aud+`}`),
			&claims); err != nil {
			t.Fatal(err)
		}
		if got := newToken(claims); got.Issuer != "i" || got.Subject != "s" ||
			!reflect.DeepEqual(got.Audience, want) {
			t.Errorf("aud %s: %+v", aud, got)
		}
	}
	if got := newToken(nil); got.Issuer != "" || got.Audience == nil {
		t.Errorf("no claims: %+v", got)
	}
}

// A step that continues after its limit shares no memory with the result. The race detector reports
// it otherwise.
func TestRunStep(t *testing.T) {
	ended := make(chan helper.Examination, 1)
	x := helper.Examination{ECR: "known"}
	x = runStep(time.Millisecond, x,
		func(ctx context.Context, x helper.Examination) helper.Examination {
			<-ctx.Done()
			for range 1000 { // while runStep sets the error
				x.Steps = append(x.Steps, exchange.Outcome{Role: fmt.Sprint(x.Err, x.ECR)})
			}
			ended <- x
			return x
		})
	var timeout *explain.TimeoutError
	if !errors.As(x.Err, &timeout) || x.ECR != "known" || x.Steps != nil {
		t.Errorf("%+v", x)
	}
	if x := <-ended; x.Err != nil || len(x.Steps) != 1000 {
		t.Errorf("after the limit the step has %+v", x.Err)
	}
	x = runStep(time.Minute, x,
		func(context.Context, helper.Examination) helper.Examination {
			return helper.Examination{STS: "found"}
		})
	if x.STS != "found" || x.Err != nil {
		t.Errorf("within the limit: %+v", x)
	}
}

// get returns a password while it is fresh, if AWS does not respond while it is usable, and never in
// its last 15 minutes.
func TestCacheEntry(t *testing.T) {
	const hour = time.Hour
	for _, tt := range []struct {
		age, ttl, freshFor time.Duration
		ready              bool
		want               string // suffix
	}{
		{hour, 12 * hour, 0, false,
			"for up to 10h45m"},
		{0, 12 * hour, hour, false, "for up to 1h"},
		{0, 12 * hour, 12 * hour, false,
			"for up to 11h45m"},
		{0, hour, hour - time.Minute, false,
			"for up to 45m"},
		{2 * hour, 12 * hour, hour, false,
			"valid for 12h; get returns it if the request fails, unless AWS refuses the identity"},
		{2 * hour, 12 * hour, hour, true, "valid for 12h"},
		{hour - 14*time.Minute, hour, 0, false, "; get no longer returns it"},
		{hour - 14*time.Minute, hour, hour, true, "; get no longer returns it"},
	} {
		d := Diagnosis{Ready: tt.ready}
		d.addCacheEntry(helper.Examination{Cached: &cache.Entry{CreatedAt: time.Now().Add(-tt.age),
			TTL: tt.ttl, FreshFor: cmp.Or(tt.freshFor, tt.ttl)}}, tt.age)
		if got := d.Checks[0].Text; !strings.HasSuffix(got, tt.want) {
			t.Errorf("age %v of %v, fresh for %v: %s; want %s", tt.age, tt.ttl, tt.freshFor, got,
				tt.want)
		}
	}
}

func TestFormatDuration(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "0s", 400 * time.Millisecond: "0s", 1600 * time.Millisecond: "2s",
		42 * time.Second: "42s", 10 * time.Second: "10s", time.Minute: "1m", 5 * time.Minute: "5m",
		4*time.Minute + 30*time.Second: "4m30s", 60*time.Minute - time.Second: "59m59s",
		time.Hour: "1h", time.Hour + 29*time.Second: "1h", 65*time.Minute + 31*time.Second: "1h6m",
		10 * time.Hour: "10h", 12 * time.Hour: "12h", 12*time.Hour + 10*time.Minute: "12h10m",
		26 * time.Hour: "26h",
	} {
		if got := formatDuration(d); got != want {
			t.Errorf("%v: %q, want %q", d, got, want)
		}
	}
}

func TestAdvice(t *testing.T) {
	for _, tt := range []struct {
		err  error
		want string
	}{
		{&token.MissingError{Advice: "give the job `permissions: {id-token: write}`"},
			"give the job `permissions: {id-token: write}`"},
		{&token.RequestError{CI: "GitHub", Retryable: true},
			"If it persists, check that this machine can reach that address"},
		{&token.RequestError{CI: "GitHub", Retryable: true, Why: "dial tcp: lookup gihtub.acme: no such host"},
			"gihtub.acme does not resolve, which is probably a typo"},
		{&token.RequestError{CI: "GitHub"}, "only to its own running jobs"},
		{&explain.TimeoutError{Action: "running get", Limit: explain.CommandTimeout},
			"are not pipes, and not on a mount that does not respond"},
		{&exchange.Error{Step: exchange.StepWebIdentity, Message: "no response in time",
			Retryable: true}, "check that this machine can reach that address"},
		{&exchange.Error{Step: exchange.StepWebIdentity, Code: "Throttling", Retryable: true},
			"this can be temporary: try again"},
		{&exchange.Error{Step: exchange.StepWebIdentity, Code: "AccessDenied"},
			"the role does not exist"},
		{&exchange.Error{Step: exchange.StepWebIdentity, Code: "Unknown"}, ""},
		{errors.New(`ECR_OIDC_SOURCE is "typo"; allowed values are ...`), ""},
	} {
		if got := advice(tt.err); !strings.Contains(got, tt.want) || tt.want == "" && got != "" {
			t.Errorf("%v: %q, want %q", tt.err, got, tt.want)
		}
	}
}
