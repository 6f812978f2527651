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
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"text/tabwriter"
	"time"
	"unicode"

	"github.com/ecr-oidc/docker-credential-ecr-oidc/e2e/emulator"
)

// faultRun is one get during which one service has a fault.
type faultRun struct {
	faultCase
	service    string
	want       string // in the error message
	persistent bool

	*job
	other    *httptest.Server // a server that is not AWS or GitHub, with its own certificate
	dials    atomic.Int32     // connections to it
	received atomic.Int32     // requests to it
	body     endless

	sent   int // requests of the program
	took   time.Duration
	peak   int64 // bytes of memory; 0 if unknown
	result string
}

// TestFaults runs a get with every fault of each of the three services. The program retries a
// retryable fault with a backoff, and fails in time when the fault persists. It does not retry any
// other fault. The error message is one sanitized line that names the service. An endless response
// uses little memory.
func TestFaults(t *testing.T) {
	t.Parallel()
	slow(t, "runs the program against 180 faults")
	var (
		runs  []*faultRun
		all   sync.WaitGroup
		slots = make(chan struct{}, 10) // for runs that do more than wait
	)
	for _, c := range faultCases() {
		for _, at := range []struct{ service, want string }{{"oidc", c.oidc}, {"sts", c.sts}, {"ecr", c.ecr}} {
			for _, persistent := range []bool{false, true} {
				if at.want != "" && (persistent || c.retryable && c.endpoint == nil) {
					runs = append(runs, &faultRun{faultCase: c, service: at.service, want: at.want, persistent: persistent})
				}
			}
		}
	}
	for _, r := range runs {
		r.job = newJob(t)
		all.Go(func() {
			if waits := r.slow || r.persistent && r.requests == manyRequests; !waits {
				slots <- struct{}{}
				defer func() { <-slots }()
			}
			for _, err := range r.run() {
				t.Errorf("%s, %s, persistent: %v: %v", r.service, r.name, r.persistent, err)
			}
		})
	}
	all.Wait()
	t.Logf("\n%s", faultTable(runs))
}

// faultTable returns a table of the runs, which "go test -v" prints.
func faultTable(runs []*faultRun) string {
	var table bytes.Buffer
	w := tabwriter.NewWriter(&table, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "service\tfault\tfailures\trequests\tseconds\tMB\tresult")
	for _, r := range runs {
		requests, peak := fmt.Sprint(r.sent), ""
		if r.sent == 0 {
			requests = "-" // not counted
		}
		if r.peak > 0 {
			peak = fmt.Sprint(r.peak >> 20)
		}
		failures := "all"
		if !r.persistent {
			failures = fmt.Sprint(r.failureCount())
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%.1f\t%s\t%s\n",
			r.service, r.name, failures, requests, r.took.Seconds(), peak, r.result)
	}
	w.Flush()
	return table.String()
}

// run runs the get and returns what is wrong.
func (r *faultRun) run() (wrong []error) {
	errorf := func(format string, args ...any) { wrong = append(wrong, fmt.Errorf(format, args...)) }
	defer r.start()()
	if r.endpoint == nil {
		r.server.AddFault(r.service, r.serviceFault())
	}
	cmd, out, errs := r.command("get", defaultHost)
	start := time.Now()
	if err := cmd.Start(); err != nil {
		return []error{err}
	}
	peak := func() int64 { return 0 }
	if r.stream != "" {
		peak = watchMemory(cmd.Process.Pid)
	}
	err := cmd.Wait()
	r.took, r.peak, r.sent = time.Since(start), peak(), r.server.Count(r.service)
	a := getResult{out.String(), errs.String(), err}

	if r.took > 28*time.Second {
		errorf("it took %v", r.took)
	}
	if r.peak > 100<<20 {
		errorf("%d MB of memory", r.peak>>20)
	}
	// Data in flight when the program closes the connection counts too.
	if n := r.body.sent.Load(); n > int64(r.sent)*16<<20 {
		errorf("it read %d MB of %d responses", n>>20, r.sent)
	}
	if n := r.received.Load(); n > 0 {
		errorf("another server received %d requests", n)
	}
	if r.endpoint != nil {
		r.sent = int(r.dials.Load())
	}
	if least, most := r.expectedRequests(); r.sent < least || r.sent > most {
		errorf("%d requests, want %d to %d", r.sent, least, most)
	}
	wrong = append(wrong, r.checkBackoff()...)
	for _, later := range map[string][]string{"oidc": {"sts", "ecr"}, "sts": {"ecr"}}[r.service] {
		if n := r.server.Count(later); r.persistent && n > 0 {
			errorf("%s received %d requests", later, n)
		}
	}
	if !r.persistent {
		r.result = "a password"
		if err := r.good(a); err != nil {
			errorf("%v", err)
		}
		return wrong
	}
	return append(wrong, r.checkMessage(a)...)
}

// checkMessage returns what is wrong with the message of a get that failed.
func (r *faultRun) checkMessage(a getResult) (wrong []error) {
	errorf := func(format string, args ...any) { wrong = append(wrong, fmt.Errorf(format, args...)) }
	line := strings.TrimPrefix(strings.TrimSuffix(a.stdout, "\n"), "ecr-oidc: ")
	r.result, _, _ = strings.Cut(line, "; ")
	for _, prefix := range []string{"the job's OIDC token ", "source github: "} {
		if _, rest, ok := strings.Cut(r.result, prefix); ok {
			r.result = rest
		}
	}
	if len(r.result) > 110 {
		r.result = r.result[:110] + "..."
	}
	if err := a.refused(); err != nil {
		errorf("%v", err)
	}
	step := map[string]string{
		"oidc": "requesting the job's OIDC token from GitHub (",
		"sts":  "role ci in 123456789012 (from ECR_OIDC_ROLE) for ",
		"ecr":  "a password for " + defaultHost + " to role ci in ",
	}[r.service]
	if r.name == "a malformed token" {
		step = "reading the OIDC token: "
	}
	if !strings.Contains(a.stdout, step) || !strings.Contains(a.stdout, r.want) {
		errorf("message %s want %s ... %s", a.stdout, step, r.want)
	}
	for _, secret := range []string{halfSecret, r.env["ACTIONS_ID_TOKEN_REQUEST_TOKEN"], "eyJ"} {
		if strings.Contains(a.stdout, secret) {
			errorf("a secret in the message %s", a.stdout)
		}
	}
	return wrong
}

// start starts the other server, and sets the URL of the service if the fault has one.
func (r *faultRun) start() (stop func()) {
	count := func(http.ResponseWriter, *http.Request) { r.received.Add(1) }
	r.other = httptest.NewUnstartedServer(http.HandlerFunc(count))
	r.other.Config.ErrorLog = log.New(io.Discard, "", 0)
	r.other.Config.ConnState = func(_ net.Conn, s http.ConnState) {
		if s == http.StateNew {
			r.dials.Add(1)
		}
	}
	r.other.StartTLS()
	switch {
	case r.endpoint == nil:
	case r.service == "oidc":
		r.env["ACTIONS_ID_TOKEN_REQUEST_URL"] = r.endpoint(r) + "/token?api-version=2.0"
	default:
		r.env["AWS_ENDPOINT_URL_"+strings.ToUpper(r.service)] = r.endpoint(r)
	}
	return r.other.Close
}

// serviceFault returns the fault of the emulator for this run.
func (r *faultRun) serviceFault() emulator.Fault {
	f := r.fault
	if r.stream != "" {
		r.body.text = r.stream
		f.Stream = &r.body
	}
	if f.Header["Location"] == "elsewhere" {
		f.Header = map[string]string{"Location": r.other.URL}
	}
	if !r.persistent {
		f.Times = r.failureCount()
	}
	return f
}

func (r *faultRun) closedPort() string { return "https://127.0.0.1:1" }
func (r *faultRun) untrusted() string  { return r.other.URL }

// misnamed trusts the certificate of the other server, and returns a URL whose host is not in it.
func (r *faultRun) misnamed() string {
	bundle, err := os.OpenFile(r.env["AWS_CA_BUNDLE"], os.O_APPEND|os.O_WRONLY, 0)
	if err == nil {
		certificate := &pem.Block{Type: "CERTIFICATE", Bytes: r.other.Certificate().Raw}
		err = errors.Join(pem.Encode(bundle, certificate), bundle.Close())
	}
	if err != nil {
		panic(err)
	}
	return strings.Replace(r.other.URL, "127.0.0.1", "localhost", 1)
}

// failureCount returns how many requests fail before a retryable fault ends.
func (r *faultRun) failureCount() int {
	switch {
	case r.failures > 0:
		return r.failures
	case r.slow:
		return 1
	}
	return 2
}

// expectedRequests returns the bounds of the number of requests.
func (r *faultRun) expectedRequests() (least, most int) {
	switch {
	case r.name == "connection refused":
		return 0, 0 // not counted
	case !r.persistent:
		return r.failureCount() + 1, r.failureCount() + 1
	case r.requests == manyRequests:
		return 4, 20
	case r.requests > 0:
		return r.requests, r.requests
	case !r.retryable:
		return 1, 1
	case r.slow:
		return 2, 4 // of six seconds each, in fourteen
	case r.service == "oidc":
		return 5, 5
	}
	return 3, 3
}

// checkBackoff returns which requests came too soon after the one before.
func (r *faultRun) checkBackoff() (wrong []error) {
	pause := map[string]time.Duration{
		"oidc": 125 * time.Millisecond, "sts": 500 * time.Millisecond, "ecr": 500 * time.Millisecond,
	}[r.service]
	var last time.Time
	for _, c := range r.server.Calls() {
		if c.Service != r.service || r.name == "the token has expired" { // a new token needs no backoff
			continue
		}
		least := pause
		if r.name == "429, Retry-After 1" {
			least = max(pause, time.Second)
		}
		if !last.IsZero() {
			if passed := c.At.Sub(last); passed < least {
				wrong = append(wrong, fmt.Errorf("a request after %v, before %v", passed, least))
			}
			pause = min(2*pause, time.Second)
		}
		last = c.At
	}
	return wrong
}

// good returns what is wrong with the result of a get that must succeed; nil if nothing is.
func (j *job) good(a getResult) error {
	password := a.secret()
	switch {
	case a.err != nil || a.stderr != "" || password == "":
		return fmt.Errorf("%v\nstdout %s\nstderr %s", a.err, a.stdout, a.stderr)
	case !j.takes(password):
		return errors.New("the registry does not accept the password")
	}
	return nil
}

// secret returns the password of a successful get; "" for any other result.
func (a getResult) secret() string {
	var reply struct{ Username, Secret string }
	if a.err != nil || json.Unmarshal([]byte(a.stdout), &reply) != nil || reply.Username != "AWS" {
		return ""
	}
	return reply.Secret
}

// takes reports whether the registry accepts the password.
func (j *job) takes(password string) bool {
	tr := j.server.Transport()
	defer tr.CloseIdleConnections()
	r, err := http.NewRequest(http.MethodGet, "https://"+defaultHost+"/v2/", nil)
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

// refused returns what is wrong with the result of a get that must fail. The message must be one
// line on both streams, without control characters or workflow commands.
func (a getResult) refused() error {
	line, whole := strings.CutSuffix(a.stdout, "\n")
	switch {
	case a.err == nil:
		return errors.New("it succeeded")
	case a.stdout != a.stderr:
		return fmt.Errorf("stdout %s\nstderr %s", a.stdout, a.stderr)
	case !whole || !strings.HasPrefix(line, "ecr-oidc: ") || strings.Contains(line, "##[") ||
		strings.ContainsFunc(line, invisible):
		return fmt.Errorf("not one sanitized line: %q", a.stdout)
	case len(line) > 1100: // 600 bytes are quoted
		return fmt.Errorf("%d bytes: %s", len(line), line)
	}
	return nil
}

func invisible(r rune) bool {
	return !unicode.IsGraphic(r) || unicode.Is(unicode.Cf, r) || r == '\u2028'
}

// endless is a reader that repeats a text and counts the bytes.
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

// watchMemory polls the memory of a process until it ends. The result waits for that, and returns the
// peak in bytes; 0 on systems without /proc.
func watchMemory(pid int) func() int64 {
	peak := make(chan int64, 1)
	go func() {
		var kb int64
		for {
			b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
			_, rest, ok := strings.Cut(string(b), "VmHWM:") // missing once the process has ended
			if err != nil || !ok {
				break
			}
			fmt.Sscan(rest, &kb)
			time.Sleep(2 * time.Millisecond)
		}
		peak <- kb << 10
	}()
	return func() int64 { return <-peak }
}
