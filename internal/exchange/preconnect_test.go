package exchange

import (
	"context"
	"crypto/x509"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/config"
	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/token"
)

// service is an emulated STS or ECR that counts connections and requests.
type service struct {
	*httptest.Server

	mu       sync.Mutex
	opened   int      // number of connections
	closed   int      // number of those that are closed
	requests []string // the HTTP version of each
}

// serviceOptions are the options of a service.
type serviceOptions struct {
	plain, http2 bool
	closeFirst   int // number of connections to close at once, without counting them
}

// startService starts a service. The keys of responses are names of actions; "" is any other
// request.
func startService(t *testing.T, o serviceOptions, responses map[string]string) *service {
	t.Helper()
	s := &service{}
	handler := func(rw http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		s.requests = append(s.requests, r.Proto)
		s.mu.Unlock()
		fmt.Fprint(rw, responses[r.FormValue("Action")])
	}
	s.Server = httptest.NewUnstartedServer(http.HandlerFunc(handler))
	s.EnableHTTP2 = o.http2
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.Listener = &closingListener{s.Listener, o.closeFirst}
	s.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		s.mu.Lock()
		defer s.mu.Unlock()
		switch state {
		case http.StateNew:
			s.opened++
		case http.StateClosed:
			s.closed++
		}
	}
	if o.plain {
		s.Start()
	} else {
		s.StartTLS()
	}
	t.Cleanup(s.Close)
	return s
}

// startServices starts an STS and an ECR.
func startServices(t *testing.T, o serviceOptions) (sts, ecr *service) {
	t.Helper()
	sts = startService(t, o, map[string]string{
		"AssumeRoleWithWebIdentity": stsResponse,
		"AssumeRole":                strings.ReplaceAll(stsResponse, "WithWebIdentity", ""),
	})
	return sts, startService(t, o, map[string]string{"": ecrResponse})
}

// closingListener closes the first connections. Accept must not be called concurrently.
type closingListener struct {
	net.Listener
	first int
}

func (l *closingListener) Accept() (net.Conn, error) {
	for {
		c, err := l.Listener.Accept()
		if err != nil || l.first == 0 {
			return c, err
		}
		l.first--
		c.Close()
	}
}

// counts returns the numbers of opened and closed connections, and the HTTP versions of the
// requests.
func (s *service) counts() (opened, closed int, requests string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.opened, s.closed, strings.Join(s.requests, " ")
}

const (
	stsResponse = `<AssumeRoleWithWebIdentityResponse><AssumeRoleWithWebIdentityResult>` +
		`<Credentials><AccessKeyId>ASIAEXAMPLE</AccessKeyId>` +
		`<SecretAccessKey>s</SecretAccessKey><SessionToken>t</SessionToken>` +
		`<Expiration>2036-01-01T00:00:00Z</Expiration></Credentials>` +
		`</AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>`
	ecrResponse = `{"authorizationData":[{"authorizationToken":"QVdTOnNlY3JldA==","expiresAt":2082758400}]}`
)

// TestPreconnect checks that connections are opened before the first request and used for it, that
// an unusable connection is replaced, and that no request is sent twice.
func TestPreconnect(t *testing.T) {
	for _, tt := range []struct {
		name    string
		options serviceOptions
		setting string                                    // NAME=value
		between func(p *preconnection, sts, ecr *service) // runs after the connections are open
		opened  int                                       // connections of each service
	}{
		{name: "HTTP/1.1", opened: 1},
		{name: "HTTP/2", options: serviceOptions{http2: true}, opened: 1},
		{name: "HTTP/2 disabled", options: serviceOptions{http2: true},
			setting: "GODEBUG=http2client=0", opened: 1},
		{name: "first connection closed", options: serviceOptions{closeFirst: 1}, opened: 1},
		{name: "closed by AWS, retried by the SDK", opened: 2,
			between: func(_ *preconnection, sts, ecr *service) {
				sts.CloseClientConnections()
				ecr.CloseClientConnections()
			}},
		{name: "too old", opened: 2, between: func(p *preconnection, _, _ *service) {
			p.now = func() time.Time { return time.Now().Add(maxIdle + time.Second) }
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if name, value, ok := strings.Cut(tt.setting, "="); ok {
				t.Setenv(name, value)
			}
			sts, ecr := startServices(t, tt.options)
			in := newTestInput(t, sts, ecr)
			in.preconnected = startPreconnect(t, t.Context(), in)
			waitForConnections(t, in.preconnected)
			for _, s := range []*service{sts, ecr} {
				if _, _, requests := s.counts(); requests != "" {
					t.Fatalf("%s received a request before the login: %s", s.URL,
						requests)
				}
			}
			if tt.between != nil {
				tt.between(in.preconnected, sts, ecr)
			}
			login, err := in.assumeRolesAndGetPassword(t.Context())
			if err != nil || login.Password != "secret" {
				t.Fatalf("%v, %v", login, err)
			}
			want := "HTTP/1.1"
			if tt.options.http2 && tt.setting == "" {
				want = "HTTP/2.0"
			}
			for _, s := range []*service{sts, ecr} {
				opened, _, requests := s.counts()
				if opened != tt.opened || requests != want {
					t.Errorf("%s: %d connections, requests %q; want %d, %q", s.URL,
						opened, requests, tt.opened, want)
				}
			}
		})
	}
}

// startPreconnect calls in.preconnect and fails on an error.
func startPreconnect(t *testing.T, ctx context.Context, in LoginInput) *preconnection {
	t.Helper()
	p, err := in.preconnect(ctx)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// waitForConnections waits until all connections are open or have failed.
func waitForConnections(t *testing.T, p *preconnection) {
	t.Helper()
	timeout := time.After(20 * time.Second)
	for addr, conns := range p.conns {
		select {
		case c := <-conns: // put it back
			restored := make(chan connection, 1)
			restored <- c
			close(restored)
			p.conns[addr] = restored
		case <-timeout:
			t.Fatal("still connecting to ", addr)
		}
	}
}

// newTestInput returns a LoginInput that uses these services.
func newTestInput(t *testing.T, sts, ecr *service) LoginInput {
	t.Helper()
	t.Setenv("AWS_ENDPOINT_URL_STS", sts.URL)
	t.Setenv("AWS_ENDPOINT_URL_ECR", ecr.URL)
	in := LoginInput{
		Settings: config.Settings{Registry: parseHost(t, registryHost), SessionName: "test"},
		Roles:    config.RoleChain{ARNs: []string{"arn:aws:iam::123456789012:role/ci"}},
		Identity: oidcIdentity(t), token: token.Token{Raw: "x.y.z"}, Env: environ(),
		Debug: func(string, ...any) {},
	}
	if sts.Certificate() != nil {
		in.roots = x509.NewCertPool()
		in.roots.AddCert(sts.Certificate())
		in.roots.AddCert(ecr.Certificate())
	}
	return in
}

// TestPreconnectRoleChain checks that a role chain sends two requests to STS over one connection.
func TestPreconnectRoleChain(t *testing.T) {
	sts, ecr := startServices(t, serviceOptions{})
	in := newTestInput(t, sts, ecr)
	in.Roles.ARNs = append(in.Roles.ARNs, "arn:aws:iam::210987654321:role/next")
	in.preconnected = startPreconnect(t, t.Context(), in)
	if _, err := in.assumeRolesAndGetPassword(t.Context()); err != nil {
		t.Fatal(err)
	}
	if opened, _, requests := sts.counts(); opened != 1 || requests != "HTTP/1.1 HTTP/1.1" {
		t.Errorf("STS: %d connections, requests %q", opened, requests)
	}
}

// TestPreconnectCloses checks that unused connections are closed when ctx is done.
func TestPreconnectCloses(t *testing.T) {
	sts, ecr := startServices(t, serviceOptions{})
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	waitForConnections(t, startPreconnect(t, ctx, newTestInput(t, sts, ecr)))
	cancel()
	for _, s := range []*service{sts, ecr} {
		for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(time.Millisecond) {
			opened, closed, _ := s.counts()
			if opened == 1 && closed == 1 {
				break
			}
			if time.Now().After(deadline) {
				t.Fatalf("%d of %d connections are closed", closed, opened)
			}
		}
	}
}

// TestPreconnectSkipped checks that no connection is opened to an http endpoint, or when
// AWS_MAX_ATTEMPTS is 1, and that no request is sent to a server with an untrusted certificate.
func TestPreconnectSkipped(t *testing.T) {
	for _, tt := range []struct {
		name      string
		options   serviceOptions
		untrusted bool   // the services' certificates
		once      bool   // AWS_MAX_ATTEMPTS is 1
		want      string // the error
	}{
		{name: "http", options: serviceOptions{plain: true}},
		{name: "one attempt", once: true},
		{name: "unknown authority", untrusted: true,
			want: "certificate signed by unknown authority"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			sts, ecr := startServices(t, tt.options)
			in := newTestInput(t, sts, ecr)
			if tt.untrusted {
				in.roots = x509.NewCertPool()
			}
			if tt.once {
				t.Setenv("AWS_MAX_ATTEMPTS", "1")
				in.Env = environ("AWS_MAX_ATTEMPTS=1")
			}
			in.preconnected = startPreconnect(t, t.Context(), in)
			waitForConnections(t, in.preconnected)
			if opened, _, _ := sts.counts(); opened != 0 && !tt.untrusted {
				t.Errorf("%d connections", opened)
			}
			_, err := in.assumeRolesAndGetPassword(t.Context())
			if tt.want == "" && err != nil ||
				tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
				t.Errorf("%v, want %s", err, tt.want)
			}
			opened, _, requests := sts.counts()
			if tt.want != "" && requests != "" {
				t.Errorf("STS received %s", requests)
			}
			if tt.untrusted && opened != 1 {
				t.Errorf("%d connections, want 1", opened)
			}
		})
	}
}

// TestPreconnectSettingErrors checks that an invalid setting is reported before any connection is
// opened, also to the service whose endpoint is valid.
func TestPreconnectSettingErrors(t *testing.T) {
	for _, tt := range []struct{ setting, value, want string }{
		{"AWS_USE_FIPS_ENDPOINT", "perhaps", "AWS_USE_FIPS_ENDPOINT"},
		{
			"AWS_ENDPOINT_URL_STS", "http://sts.test.invalid",
			"checking the endpoint of STS: http://sts.test.invalid (from AWS_ENDPOINT_URL_STS) " +
				"must be an https URL",
		},
		{
			"AWS_ENDPOINT_URL_ECR", "http://user:password@ecr.test.invalid/x?y",
			"checking the endpoint of ECR: http://ecr.test.invalid (from AWS_ENDPOINT_URL_ECR) " +
				"must be an https URL",
		},
		{
			"AWS_ENDPOINT_URL_ECR", "https://user:pass%word@ecr.test.invalid",
			"checking the endpoint of ECR: AWS_ENDPOINT_URL_ECR is not a valid URL",
		},
	} {
		t.Run(tt.setting, func(t *testing.T) {
			sts, ecr := startServices(t, serviceOptions{})
			in := newTestInput(t, sts, ecr)
			t.Setenv(tt.setting, tt.value)
			in.Env = environ(tt.setting + "=" + tt.value)
			p, err := in.preconnect(t.Context())
			if p != nil || err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("%v, want %s", err, tt.want)
			}
			if _, again := Login(t.Context(), in); again == nil || again.Error() != err.Error() {
				t.Errorf("Login: %v, want %v", again, err)
			}
			for _, s := range []*service{sts, ecr} {
				if opened, _, requests := s.counts(); opened != 0 || requests != "" {
					t.Errorf("%s: %d connections, requests %q", s.URL, opened, requests)
				}
			}
		})
	}
}

// TestDirectAddr checks that a URL that is reached through a proxy has no direct address.
func TestDirectAddr(t *testing.T) {
	through := func(proxy string) func(*http.Request) (*url.URL, error) {
		return func(r *http.Request) (*url.URL, error) {
			if r.URL.Host != "sts.eu-west-2.amazonaws.com" || proxy == "" {
				return nil, nil
			}
			return url.Parse(proxy)
		}
	}
	for _, tt := range []struct{ url, proxy, want string }{
		{"https://sts.eu-west-2.amazonaws.com/", "", "sts.eu-west-2.amazonaws.com:443"},
		{"https://[::1]:8443/sts", "", "[::1]:8443"},
		{"https://sts.eu-west-2.amazonaws.com/", "http://proxy:3128", ""},
		{"https://sts.eu-west-2.amazonaws.com/", "https://proxy", ""},
		{"https://sts.eu-west-2.amazonaws.com/", "socks5://proxy", ""},
		{"https://sts.eu-west-2.amazonaws.com/", "http://[broken", ""},
		{"https://api.ecr.eu-west-2.amazonaws.com/", "http://proxy:3128",
			"api.ecr.eu-west-2.amazonaws.com:443"},
		{"http://api.ecr.eu-west-2.amazonaws.com/", "", ""},
		{"", "", ""},
	} {
		if got := directAddr(tt.url, through(tt.proxy)); got != tt.want {
			t.Errorf("%s through %q: %q, want %q", tt.url, tt.proxy, got, tt.want)
		}
	}
}
