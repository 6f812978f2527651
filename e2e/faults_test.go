package e2e

import (
	"bytes"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"text/tabwriter"
	"time"
	"unicode"

	"github.com/ecr-oidc/docker-credential-ecr-oidc/e2e/emulator"
)

// trouble is something that goes wrong between the helper and those it asks, and what comes of it.
type trouble struct {
	name  string
	fault emulator.Fault
	goes  string            // what the body goes on with, for ever
	leads func(*day) string // instead of a fault: where the service's URL leads

	passes bool // it may be over when the service is asked again
	slow   bool // each time costs one of the program's own limits, six seconds
	times  int  // how often it is ridden out; 0: twice, and once if it is slow

	oidc, sts, ecr string // what is said when it lasts; "" where there is no such thing
	calls          int    // that are made until it is said; 0: one if it cannot pass, else as many as a fault gets
}

const (
	// half stands in what is not to be shown.
	half = "half-a-secret"

	// hostile is text that a terminal, a log or the GitHub runner would obey.
	hostile = "one\r\n::set-output name=x::y\n::add-mask::z\n##[error]two\x1b[31m\x1b]0;t\a\u202e\u2066\u200b\x00\x7f\u0085end"
	tamed   = "one ::set-output name=x::y ::add-mask::z # #[error]two"

	// manyCalls is as many as there is time for.
	manyCalls = -1
)

func troubles() []trouble {
	const (
		late   = "no response in time"
		early  = "the connection was closed before the response was complete"
		notAWS = "the response is not from AWS (is there a proxy in between?)"
		noJSON = "the response is not JSON (is there a proxy in between?)"
		long   = "the response is longer than "
		empty  = "the response of ECR contains no password"
		bearer = ": redirects are not followed"
	)
	refused, reset := "connection refused", "connection reset by peer"
	if runtime.GOOS == "windows" {
		refused, reset = "actively refused it", "forcibly closed"
	}
	page := []byte("<!DOCTYPE html><html><head><title>Log in</title></head><body>" + half + "</body></html>")
	return []trouble{
		// There is no connection, or not for long enough.
		{name: "connection refused", leads: (*day).nowhere, passes: true, oidc: refused, sts: refused, ecr: refused},
		{name: "reset", fault: emulator.Fault{Reset: true}, passes: true, oidc: reset, sts: reset, ecr: reset},
		{name: "cut off", fault: emulator.Fault{Truncate: 40}, passes: true, oidc: early, sts: early, ecr: early},
		{name: "500, cut off", fault: emulator.Fault{Status: 500, Body: page, Truncate: 40}, passes: true, oidc: early, sts: early, ecr: early},
		{name: "certificate of an unknown CA", leads: (*day).stranger, oidc: "certificate signed by unknown authority", sts: "certificate signed by unknown authority", ecr: "certificate signed by unknown authority"},
		{name: "certificate for another name", leads: (*day).misnamed, oidc: "not localhost", sts: "not localhost", ecr: "not localhost"},

		// There is no answer.
		{name: "hangs", fault: emulator.Fault{Hang: true}, passes: true, slow: true, oidc: late, sts: late, ecr: late},
		{name: "hangs after its headers", fault: emulator.Fault{HangAfterHeaders: true}, passes: true, slow: true, oidc: late, sts: late, ecr: late},
		{name: "drips", fault: emulator.Fault{Drip: 100 * time.Millisecond}, passes: true, slow: true, oidc: late, sts: late, ecr: late},

		// It is no.
		{name: "400", fault: emulator.Fault{Status: 400, Code: "ValidationError", Message: "1 validation error"}, oidc: "HTTP 400 Bad Request", sts: "ValidationError: 1 validation error", ecr: "ValidationError: 1 validation error"},
		{name: "401", fault: emulator.Fault{Status: 401, Body: []byte(half)}, oidc: "HTTP 401 Unauthorized", sts: "HTTP 401", ecr: "HTTP 401"},
		{name: "403, a proxy's page", fault: emulator.Fault{Status: 403, Body: page, ContentType: "text/html"}, oidc: "HTTP 403 Forbidden", sts: "HTTP 403", ecr: "HTTP 403"},
		{name: "404", fault: emulator.Fault{Status: 404, Body: []byte(half)}, oidc: "HTTP 404 Not Found", sts: "HTTP 404", ecr: "HTTP 404"},
		{name: "AccessDenied", fault: emulator.Fault{Status: 403, Code: "AccessDenied", Message: "Not authorized to perform sts:AssumeRoleWithWebIdentity"}, sts: "AccessDenied"},
		{name: "AccessDeniedException", fault: emulator.Fault{Code: "AccessDeniedException", Message: "User is not authorized"}, ecr: "AccessDeniedException: User is not authorized"},
		{name: "InvalidIdentityToken", fault: emulator.Fault{Code: "InvalidIdentityToken", Message: "Incorrect token audience"}, sts: "InvalidIdentityToken: Incorrect token audience"},
		{name: "IDPRejectedClaim", fault: emulator.Fault{Status: 403, Code: "IDPRejectedClaim", Message: "the issuer said no"}, sts: "IDPRejectedClaim: the issuer said no"},
		{name: "RegionDisabledException", fault: emulator.Fault{Status: 403, Code: "RegionDisabledException", Message: "STS is not activated"}, sts: "RegionDisabledException: STS is not activated"},
		{name: "UnrecognizedClientException", fault: emulator.Fault{Code: "UnrecognizedClientException", Message: "The security token included in the request is invalid."}, ecr: "UnrecognizedClientException: The security token"},

		// It is not now.
		{name: "500", fault: emulator.Fault{Status: 500, Body: []byte(half)}, passes: true, oidc: "HTTP 500 Internal Server Error", sts: "HTTP 500", ecr: "HTTP 500"},
		{name: "502, a proxy's page", fault: emulator.Fault{Status: 502, Body: page, ContentType: "text/html"}, passes: true, oidc: "HTTP 502 Bad Gateway", sts: "HTTP 502", ecr: "HTTP 502"},
		{name: "503", fault: emulator.Fault{Status: 503, Code: "ServiceUnavailable", Message: "try later"}, passes: true, oidc: "HTTP 503 Service Unavailable", sts: "ServiceUnavailable: try later", ecr: "ServiceUnavailable: try later"},
		{name: "504, empty", fault: emulator.Fault{Status: 504, Body: []byte{}}, passes: true, oidc: "HTTP 504 Gateway Timeout", sts: "HTTP 504", ecr: "HTTP 504"},
		{name: "429", fault: emulator.Fault{Status: 429, Body: []byte(half)}, passes: true, oidc: "HTTP 429 Too Many Requests"},
		{name: "429, Retry-After 1", fault: emulator.Fault{Status: 429, Header: map[string]string{"Retry-After": "1"}}, passes: true, oidc: "HTTP 429 Too Many Requests: retry after 1s"},
		{name: "429, Retry-After 60", fault: emulator.Fault{Status: 429, Header: map[string]string{"Retry-After": "60"}}, oidc: "HTTP 429 Too Many Requests: retry after 1m0s"},
		{name: "403, the job is pending", fault: emulator.Fault{Status: 403, Body: []byte("Can't issue ID_TOKEN for job in Pending state " + half)}, passes: true, oidc: "HTTP 403: the job is not registered as running yet"},
		{name: "Throttling", fault: emulator.Fault{Code: "Throttling", Message: "Rate exceeded"}, passes: true, calls: manyCalls, sts: "Throttling: Rate exceeded"},
		{name: "ThrottlingException", fault: emulator.Fault{Code: "ThrottlingException", Message: "Rate exceeded"}, passes: true, calls: manyCalls, ecr: "ThrottlingException: Rate exceeded"},
		{name: "IDPCommunicationError", fault: emulator.Fault{Code: "IDPCommunicationError", Message: "An error occurred communicating with the identity provider"}, passes: true, sts: "IDPCommunicationError: An error occurred"},
		{name: "the issuer's keys cannot be had", fault: emulator.Fault{Code: "InvalidIdentityToken", Message: "Couldn't retrieve verification key from your identity provider"}, passes: true, sts: "InvalidIdentityToken: Couldn't retrieve verification key"},
		{name: "the token is over", fault: emulator.Fault{Code: "ExpiredTokenException", Message: "Token expired"}, passes: true, times: 1, calls: 2, sts: "ExpiredTokenException: Token expired"},

		// It is something else than an answer.
		{name: "a portal's page", fault: emulator.Fault{Body: page, ContentType: "text/html"}, oidc: noJSON, sts: notAWS, ecr: notAWS},
		{name: "nothing", fault: emulator.Fault{Body: []byte{}}, oidc: noJSON, sts: "the response of STS contains no credentials", ecr: empty},
		{name: "204", fault: emulator.Fault{Status: 204, Body: []byte{}}, oidc: "HTTP 204 No Content", sts: "the response of STS contains no credentials", ecr: empty},
		{name: "half of the text", fault: emulator.Fault{Body: []byte(`{"value": "` + half)}, oidc: noJSON, ecr: notAWS},
		{name: "half of the text", fault: emulator.Fault{Body: []byte("<AssumeRoleWithWebIdentityResponse><AssumeRoleWithWebIdentityResult>" + half)}, sts: notAWS},
		{name: "a list for an object", fault: emulator.Fault{Body: []byte(`["` + half + `"]`)}, oidc: noJSON, sts: "the response of STS contains no credentials", ecr: notAWS},
		{name: "a number for a text", fault: emulator.Fault{Body: []byte(`{"value": 5, "x": "` + half + `"}`)}, oidc: `the response has no field "value"`},
		{name: "a number for a text", fault: emulator.Fault{Body: []byte(`{"authorizationData": [{"authorizationToken": 5, "proxyEndpoint": "` + half + `"}]}`)}, ecr: notAWS},
		{name: "a text for a list", fault: emulator.Fault{Body: []byte(`{"authorizationData": "` + half + `"}`)}, ecr: notAWS},
		{name: "a text for a date", fault: emulator.Fault{Body: []byte("<AssumeRoleWithWebIdentityResponse><AssumeRoleWithWebIdentityResult><Credentials><Expiration>" + half + "</Expiration></Credentials></AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>")}, sts: notAWS},
		{name: "something that is no token", fault: emulator.Fault{Body: []byte(`{"value": "` + half + `"}`)}, oidc: "it is not a JWT (from GitHub)"},
		{name: "something that is no password", fault: emulator.Fault{Body: []byte(`{"authorizationData": [{"authorizationToken": "` + half + `", "expiresAt": 1e10}]}`)}, ecr: empty},
		{name: "redirect", fault: emulator.Fault{Status: 302, Header: map[string]string{"Location": "elsewhere"}}, oidc: "HTTP 302 Found" + bearer, sts: "HTTP 302", ecr: "HTTP 302"},
		{name: "redirect that keeps the body", fault: emulator.Fault{Status: 307, Header: map[string]string{"Location": "elsewhere"}}, oidc: "HTTP 307 Temporary Redirect" + bearer, sts: "HTTP 307", ecr: "HTTP 307"},

		// It has no end.
		{name: "endless answer", fault: emulator.Fault{Body: []byte(`{"value": "`)}, goes: half, oidc: long},
		{name: "endless answer", fault: emulator.Fault{Body: []byte(`{"authorizationData": [{"authorizationToken": "`)}, goes: half, ecr: long},
		{name: "endless answer", fault: emulator.Fault{Body: []byte("<AssumeRoleWithWebIdentityResponse><AssumeRoleWithWebIdentityResult><X>")}, goes: half, sts: long},
		{name: "endless blanks", goes: " ", oidc: long, sts: long, ecr: long},
		{name: "400, endless", fault: emulator.Fault{Status: 400}, goes: half, oidc: "HTTP 400 Bad Request", sts: long, ecr: long},
		{name: "500, endless", fault: emulator.Fault{Status: 500}, goes: half, passes: true, oidc: "HTTP 500 Internal Server Error", sts: long, ecr: long},

		// It does things to who reads it.
		{name: "hostile text", fault: emulator.Fault{Status: 400, Body: []byte(hostile + half)}, oidc: "HTTP 400 Bad Request", sts: "HTTP 400", ecr: "HTTP 400"},
		{name: "hostile message", fault: emulator.Fault{Code: "ValidationError", Message: hostile + strings.Repeat("x", 5000)}, oidc: "HTTP 400 Bad Request", sts: "ValidationError: " + tamed, ecr: "ValidationError: " + tamed},
		{name: "hostile code", fault: emulator.Fault{Code: hostile + strings.Repeat("x", 5000), Message: hostile}, sts: tamed, ecr: "one"},
	}
}

// day is one get on which one trouble happens to one service.
type day struct {
	trouble
	service string
	says    string
	lasts   bool

	*job
	elsewhere *httptest.Server // somebody else's, with a certificate of its own
	dials     atomic.Int32     // connections to it
	heard     atomic.Int32     // requests to it
	body      endless

	calls int
	took  time.Duration
	peak  int64 // bytes of memory, where it is known
	came  string
}

// Every trouble, at each of the three that are asked. One that passes is ridden out, with a backoff before each further
// try; one that lasts ends in time; one that cannot pass is said at once. What is said is one clean line that names who
// did not answer. Nothing that is sent to the helper takes its memory, or is read without end.
func TestFaults(t *testing.T) {
	t.Parallel()
	var (
		days []*day
		all  sync.WaitGroup
		some = make(chan struct{}, 10) // at a time, of those that do not only wait
	)
	for _, tr := range troubles() {
		for _, at := range []struct{ service, says string }{{"oidc", tr.oidc}, {"sts", tr.sts}, {"ecr", tr.ecr}} {
			for _, lasts := range []bool{false, true} {
				if at.says != "" && (lasts || tr.passes && tr.leads == nil) {
					days = append(days, &day{trouble: tr, service: at.service, says: at.says, lasts: lasts})
				}
			}
		}
	}
	for _, d := range days {
		waits := d.slow || d.lasts && d.trouble.calls == manyCalls
		if waits && testing.Short() {
			d.came = "not tried: it takes the program's own limits, up to 20 seconds (-short)"
			continue
		}
		d.job = newJob(t)
		all.Go(func() {
			if !waits {
				some <- struct{}{}
				defer func() { <-some }()
			}
			for _, what := range d.live() {
				t.Errorf("%s, %s, lasts: %v: %v", d.service, d.name, d.lasts, what)
			}
		})
	}
	all.Wait()
	var table bytes.Buffer
	w := tabwriter.NewWriter(&table, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "asked\ttrouble\thow often\tcalls\tseconds\tMB\twhat came of it")
	for _, d := range days {
		calls, peak := fmt.Sprint(d.calls), ""
		if d.calls == 0 {
			calls = "-" // nobody was there to count them
		}
		if d.peak > 0 {
			peak = fmt.Sprint(d.peak >> 20)
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%.1f\t%s\t%s\n", d.service, d.name, d.often(), calls, d.took.Seconds(), peak, d.came)
	}
	w.Flush()
	t.Logf("\n%s", table.String())
}

// live lives a day and returns what was wrong with it.
func (d *day) live() (wrong []error) {
	errorf := func(format string, args ...any) { wrong = append(wrong, fmt.Errorf(format, args...)) }
	defer d.begin()()
	if d.leads == nil {
		d.server.Fail(d.service, d.broken())
	}
	cmd, out, errs := d.command("get", usual)
	start := time.Now()
	if err := cmd.Start(); err != nil {
		return []error{err}
	}
	peak := func() int64 { return 0 }
	if d.goes != "" {
		peak = watch(cmd.Process.Pid)
	}
	err := cmd.Wait()
	d.took, d.peak, d.calls = time.Since(start), peak(), d.server.Count(d.service)
	a := answered{out.String(), errs.String(), err}

	if d.took > 28*time.Second {
		errorf("it took %v", d.took)
	}
	if d.peak > 100<<20 {
		errorf("%d MB of memory", d.peak>>20)
	}
	if n := d.body.sent.Load(); n > int64(d.calls)*16<<20 { // what is on its way when the helper has had enough counts too
		errorf("it took %d MB of %d answers", n>>20, d.calls)
	}
	if n := d.heard.Load(); n > 0 {
		errorf("somebody else was asked %d times", n)
	}
	if d.leads != nil {
		d.calls = int(d.dials.Load())
	}
	if least, most := d.expected(); d.calls < least || d.calls > most {
		errorf("%d calls, want %d to %d", d.calls, least, most)
	}
	wrong = append(wrong, d.backoff()...)
	for _, later := range map[string][]string{"oidc": {"sts", "ecr"}, "sts": {"ecr"}}[d.service] {
		if n := d.server.Count(later); d.lasts && n > 0 {
			errorf("%s was asked %d times", later, n)
		}
	}
	if !d.lasts {
		d.came = "a password"
		if err := d.good(a); err != nil {
			errorf("%v", err)
		}
		return wrong
	}
	line := strings.TrimPrefix(strings.TrimSuffix(a.stdout, "\n"), "ecr-oidc: ")
	d.came, _, _ = strings.Cut(line, "; ")
	for _, who := range []string{"the job's OIDC token ", "source github: "} {
		if _, rest, ok := strings.Cut(d.came, who); ok {
			d.came = rest
		}
	}
	if len(d.came) > 110 {
		d.came = d.came[:110] + "..."
	}
	if err := a.refused(); err != nil {
		errorf("%v", err)
	}
	who := map[string]string{
		"oidc": "requesting the job's OIDC token from GitHub (",
		"sts":  "role ci in 123456789012 (from ECR_OIDC_ROLE) for ",
		"ecr":  "a password for " + usual + " to role ci in ",
	}[d.service]
	if d.name == "something that is no token" {
		who = "reading the OIDC token: "
	}
	if !strings.Contains(a.stdout, who) || !strings.Contains(a.stdout, d.says) {
		errorf("it said %s want %s ... %s", a.stdout, who, d.says)
	}
	for _, secret := range []string{half, d.env["ACTIONS_ID_TOKEN_REQUEST_TOKEN"], "eyJ"} {
		if strings.Contains(a.stdout, secret) {
			errorf("it said %s", a.stdout)
		}
	}
	return wrong
}

// begin starts somebody else, and has the service's URL lead where the trouble wants it.
func (d *day) begin() (end func()) {
	d.elsewhere = httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { d.heard.Add(1) }))
	d.elsewhere.Config.ErrorLog = log.New(io.Discard, "", 0)
	d.elsewhere.Config.ConnState = func(_ net.Conn, s http.ConnState) {
		if s == http.StateNew {
			d.dials.Add(1)
		}
	}
	d.elsewhere.StartTLS()
	switch {
	case d.leads == nil:
	case d.service == "oidc":
		d.env["ACTIONS_ID_TOKEN_REQUEST_URL"] = d.leads(d) + "/token?api-version=2.0"
	default:
		d.env["AWS_ENDPOINT_URL_"+strings.ToUpper(d.service)] = d.leads(d)
	}
	return d.elsewhere.Close
}

// broken is the trouble's fault, for this day.
func (d *day) broken() emulator.Fault {
	f := d.fault
	if d.goes != "" {
		d.body.text = d.goes
		f.Stream = &d.body
	}
	if f.Header["Location"] == "elsewhere" {
		f.Header = map[string]string{"Location": d.elsewhere.URL}
	}
	if !d.lasts {
		f.Times = d.ridden()
	}
	return f
}

func (d *day) nowhere() string  { return "https://127.0.0.1:1" }
func (d *day) stranger() string { return d.elsewhere.URL }

// misnamed trusts the stranger's certificate, and calls it by a name that is not in it.
func (d *day) misnamed() string {
	bundle, err := os.OpenFile(d.env["AWS_CA_BUNDLE"], os.O_APPEND|os.O_WRONLY, 0)
	if err == nil {
		err = errors.Join(pem.Encode(bundle, &pem.Block{Type: "CERTIFICATE", Bytes: d.elsewhere.Certificate().Raw}), bundle.Close())
	}
	if err != nil {
		panic(err)
	}
	return strings.Replace(d.elsewhere.URL, "127.0.0.1", "localhost", 1)
}

// ridden is how often a trouble happens that passes.
func (d *day) ridden() int {
	switch {
	case d.times > 0:
		return d.times
	case d.slow:
		return 1
	}
	return 2
}

func (d *day) often() string {
	if d.lasts {
		return "always"
	}
	return map[int]string{1: "once", 2: "twice"}[d.ridden()]
}

// expected is how many calls are made.
func (d *day) expected() (least, most int) {
	switch {
	case d.name == "connection refused":
		return 0, 0 // nobody counts
	case !d.lasts:
		return d.ridden() + 1, d.ridden() + 1
	case d.trouble.calls == manyCalls:
		return 4, 20
	case d.trouble.calls > 0:
		return d.trouble.calls, d.trouble.calls
	case !d.passes:
		return 1, 1
	case d.slow:
		return 2, 4 // of six seconds, in fourteen
	case d.service == "oidc":
		return 5, 5
	}
	return 3, 3
}

// backoff says which further tries came too soon.
func (d *day) backoff() (wrong []error) {
	pause := map[string]time.Duration{"oidc": 125 * time.Millisecond, "sts": 500 * time.Millisecond, "ecr": 500 * time.Millisecond}[d.service]
	var last time.Time
	for _, c := range d.server.Calls() {
		if c.Service != d.service || d.name == "the token is over" { // which is answered by a new one, and not by waiting
			continue
		}
		least := pause
		if d.name == "429, Retry-After 1" {
			least = max(pause, time.Second)
		}
		if !last.IsZero() {
			if passed := c.At.Sub(last); passed < least {
				wrong = append(wrong, fmt.Errorf("asked again after %v, before %v", passed, least))
			}
			pause = min(2*pause, time.Second)
		}
		last = c.At
	}
	return wrong
}

// good says what is wrong with the answer to a get that should succeed; nil if nothing is.
func (j *job) good(a answered) error {
	password := a.secret()
	switch {
	case a.err != nil || a.stderr != "" || password == "":
		return fmt.Errorf("%v\nstdout %s\nstderr %s", a.err, a.stdout, a.stderr)
	case !j.takes(password):
		return errors.New("the registry does not take the password")
	}
	return nil
}

// secret is the password of a good answer; "" of any other.
func (a answered) secret() string {
	var reply struct{ Username, Secret string }
	if a.err != nil || json.Unmarshal([]byte(a.stdout), &reply) != nil || reply.Username != "AWS" {
		return ""
	}
	return reply.Secret
}

// takes says whether the registry lets in who has this password.
func (j *job) takes(password string) bool {
	tr := j.server.Transport()
	defer tr.CloseIdleConnections()
	r, err := http.NewRequest(http.MethodGet, "https://"+usual+"/v2/", nil)
	if err != nil {
		panic(err)
	}
	r.SetBasicAuth("AWS", password)
	resp, err := tr.RoundTrip(r)
	if err != nil {
		return false
	}
	resp.Body.Close()
	return resp.StatusCode == http.StatusOK
}

// refused says what is wrong with the answer to a get that should fail: it is to be one line of text, on both streams,
// that does nothing to who reads it.
func (a answered) refused() error {
	line, whole := strings.CutSuffix(a.stdout, "\n")
	switch {
	case a.err == nil:
		return errors.New("it succeeded")
	case a.stdout != a.stderr:
		return fmt.Errorf("stdout %s\nstderr %s", a.stdout, a.stderr)
	case !whole || !strings.HasPrefix(line, "ecr-oidc: ") || strings.Contains(line, "##[") || strings.ContainsFunc(line, invisible):
		return fmt.Errorf("not one clean line: %q", a.stdout)
	case len(line) > 1100: // 600 of somebody else's, and ours
		return fmt.Errorf("%d bytes: %s", len(line), line)
	}
	return nil
}

func invisible(r rune) bool {
	return !unicode.IsGraphic(r) || unicode.Is(unicode.Cf, r) || r == '\u2028'
}

// endless is text without an end.
type endless struct {
	text string
	sent atomic.Int64
}

func (e *endless) Read(p []byte) (n int, err error) {
	for n < len(p) {
		n += copy(p[n:], e.text)
	}
	e.sent.Add(int64(n))
	return n, nil
}

// watch follows a process to its end and then returns the most memory that it had; 0 where the system does not tell.
func watch(pid int) func() int64 {
	most := make(chan int64, 1)
	go func() {
		var kb int64
		for {
			b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
			_, rest, ok := strings.Cut(string(b), "VmHWM:") // which a process that is over has no more
			if err != nil || !ok {
				break
			}
			fmt.Sscan(rest, &kb)
			time.Sleep(2 * time.Millisecond)
		}
		most <- kb << 10
	}()
	return func() int64 { return <-most }
}
