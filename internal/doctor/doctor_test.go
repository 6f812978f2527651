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

func TestParseClaims(t *testing.T) {
	const other = "210987654321.dkr.ecr.eu-west-2.amazonaws.com"
	named := func(hosts ...string) (regs []registry.Registry) {
		for _, host := range hosts {
			reg, ok := registry.Parse(host)
			if !ok {
				t.Fatal(host)
			}
			regs = append(regs, reg)
		}
		return regs
	}
	one := func(host, role, sub string) string {
		return fmt.Sprintf(`{"registry": %q, "role": %q, "token": {"claims": {
			"iss": "https://x", "sub": %q, "n": 19521337042123456789}}}`, host, role, sub)
	}
	without := `{"registry": "public.ecr.aws", "ready": false}`
	report := func(of ...string) string {
		return `{"shape": 1, "version": "x", "ready": false, "unknown": {}, "registries": [` +
			strings.Join(of, ", ") + `]}`
	}
	for _, tt := range []struct {
		name, text string
		regs       []registry.Registry
		role, sub  string
		wrong      string
	}{
		{name: "claims", text: `{"iss": "https://x", "sub": "s"}`, sub: "s"},
		{name: "claims, and a registry", text: `{"iss": "https://x", "sub": "s"}`,
			regs: named(other), sub: "s"},
		{name: "claims of an odd issuer", text: `{"iss": 5, "sub": "s"}`, sub: "s"},
		{name: "a report", text: report(one(host, "r", "s")), role: "r", sub: "s"},
		{name: "the first with a token",
			text: report(without, one(other, "r2", "s2"), one(host, "r", "s")), role: "r2",
			sub: "s2"},
		{name: "the one that is named",
			text: report(without, one(other, "r2", "s2"), one(host, "r", "s")), regs: named(host),
			role: "r", sub: "s"},
		{name: "one of those that are named",
			text: report(one(other, "r2", "s2"), one(host, "r", "s")),
			regs: named("public.ecr.aws", host), role: "r", sub: "s"},
		{name: "a verdict of a later version",
			text: strings.Replace(report(one(host, "r", "s")), `"token"`,
				`"policy": {"verdict": {"admits": "perhaps"}}, "checks": 5, "token"`, 1), role: "r",
			sub: "s"},
		{name: "another registry", text: report(one(host, "r", "s")), regs: named(other),
			wrong: "no token in it"},
		{name: "no token", text: report(without), wrong: "no token in it"},
		{name: "no registries", text: report(), wrong: "no token in it"},
		{name: "another shape", text: strings.Replace(report(), `"shape": 1`, `"shape": 7`, 1),
			wrong: "of shape 7, and this version knows 1"},
		{name: "a shape that is none", text: `{"shape": "1"}`, wrong: `no "iss"`},
		{name: "something else", text: `{"sub": "s"}`, wrong: `no "iss"`},
		{name: "null", text: `null`, wrong: `no "iss"`},
		{name: "a list", text: `[]`, wrong: "not a JSON object"},
		{name: "a token", text: `eyJhbGciOiJSUzI1NiJ9.e30.c2lnbmF0dXJl`,
			wrong: "not a JSON object"},
		{name: "nothing", text: ``, wrong: "not a JSON object"},
	} {
		file, err := parseClaims([]byte(tt.text), tt.regs)
		role, claims := file.Role, file.Claims
		if (err == nil) != (tt.wrong == "") ||
			err != nil && !strings.Contains(err.Error(), tt.wrong) || role != tt.role ||
			text(claims["sub"]) != tt.sub {
			t.Errorf("%s: %q, %v, %v", tt.name, role, claims, err)
		}
		if n, ok := claims["n"]; ok && n != json.Number("19521337042123456789") {
			t.Errorf("%s: %v", tt.name, n)
		}
	}
}

func TestTokenOf(t *testing.T) {
	for aud, want := range map[string][]string{`"a"`: {"a"}, `["a", "b"]`: {"a", "b"}, `[]`: {},
		`null`: {}, `5`: {"5"}, `{"a": 1}`: {`{"a":1}`}} {
		var claims map[string]any
		if err := json.Unmarshal([]byte(`{"iss": "i", "sub": "s", "aud": `+aud+`}`),
			&claims); err != nil {
			t.Fatal(err)
		}
		if got := tokenOf(claims); got.Issuer != "i" || got.Subject != "s" ||
			!reflect.DeepEqual(got.Audience, want) {
			t.Errorf("aud %s: %+v", aud, got)
		}
	}
	if got := tokenOf(nil); got.Issuer != "" || got.Audience == nil {
		t.Errorf("no claims: %+v", got)
	}
}

// A step that goes on after its limit shares nothing with the result; the race detector would
// report it.
func TestWithin(t *testing.T) {
	ended := make(chan helper.Examination, 1)
	x := helper.Examination{ECR: "known"}
	x = within(time.Millisecond, x,
		func(ctx context.Context, x helper.Examination) helper.Examination {
			<-ctx.Done()
			for range 1000 { // while the other writes down that it was too late
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
		t.Errorf("the step had %+v", x.Err)
	}
	x = within(time.Minute, x,
		func(context.Context, helper.Examination) helper.Examination { return helper.Examination{STS: "found"} })
	if x.STS != "found" || x.Err != nil {
		t.Errorf("in time: %+v", x)
	}
}

// How long get answers with a password yet: until it is refreshed, and never in its last 15
// minutes.
func TestCachedFor(t *testing.T) {
	const hour = time.Hour
	for _, tt := range []struct {
		age, life, refresh time.Duration
		ready              bool
		want               string // at its end
	}{
		{hour, 12 * hour, 0, false,
			"for up to 10h45m yet, and says only then what it would say now"},
		{0, 12 * hour, hour, false, "for up to 1h yet, and says only then what it would say now"},
		{0, 12 * hour, 12 * hour, false,
			"for up to 11h45m yet, and says only then what it would say now"},
		{0, hour, hour - time.Minute, false,
			"for up to 45m yet, and says only then what it would say now"},
		{2 * hour, 12 * hour, hour, false,
			"that lives 12h; get answers with it while AWS cannot be asked"},
		{2 * hour, 12 * hour, hour, true, "that lives 12h"},
		{hour - 14*time.Minute, hour, 0, false, "and serves no longer"},
		{hour - 14*time.Minute, hour, hour, true, "and serves no longer"},
	} {
		d := Diagnosis{Ready: tt.ready}
		d.cached(helper.Examination{Cached: &cache.Entry{CreatedAt: time.Now().Add(-tt.age),
			TTL: tt.life, FreshFor: cmp.Or(tt.refresh, tt.life)}}, tt.age)
		if got := d.Checks[0].Text; !strings.HasSuffix(got, tt.want) {
			t.Errorf("%v of %v, refresh %v: %s; want %s", tt.age, tt.life, tt.refresh, got, tt.want)
		}
	}
}

func TestSpan(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "0s", 400 * time.Millisecond: "0s", 1600 * time.Millisecond: "2s",
		42 * time.Second: "42s", 10 * time.Second: "10s", time.Minute: "1m", 5 * time.Minute: "5m",
		4*time.Minute + 30*time.Second: "4m30s", 60*time.Minute - time.Second: "59m59s",
		time.Hour: "1h", time.Hour + 29*time.Second: "1h", 65*time.Minute + 31*time.Second: "1h6m",
		10 * time.Hour: "10h", 12 * time.Hour: "12h", 12*time.Hour + 10*time.Minute: "12h10m",
		26 * time.Hour: "26h",
	} {
		if got := span(d); got != want {
			t.Errorf("%v: %q, want %q", d, got, want)
		}
	}
}

// Each error says what to do, unless it does so itself.
func TestNext(t *testing.T) {
	for _, tt := range []struct {
		err  error
		want string
	}{
		{&token.MissingError{Advice: "give the job `permissions: {id-token: write}`"},
			"give the job `permissions: {id-token: write}`"},
		{&token.RequestError{CI: "GitHub", Retryable: true},
			"it may pass. If it does not: can this machine reach that address?"},
		{&token.RequestError{CI: "GitHub"}, "only while they run"},
		{&explain.TimeoutError{Action: "answering get", Limit: explain.GetTimeout},
			"a pipe, or on a mount that is gone?"},
		{&exchange.Error{Step: exchange.StepWebIdentity, Message: "no response in time", Retryable: true},
			"can this machine reach that address?"},
		{&exchange.Error{Step: exchange.StepWebIdentity, Code: "Throttling", Retryable: true},
			"it may pass: try again"},
		{&exchange.Error{Step: exchange.StepWebIdentity, Code: "AccessDenied"},
			"either there is no such role"},
		{&exchange.Error{Step: exchange.StepWebIdentity, Code: "Odd"}, ""},
		{errors.New(`ECR_OIDC_SOURCE is "typo"; allowed are ...`), ""},
	} {
		if got := next(tt.err); !strings.Contains(got, tt.want) || tt.want == "" && got != "" {
			t.Errorf("%v: %q, want %q", tt.err, got, tt.want)
		}
	}
}
