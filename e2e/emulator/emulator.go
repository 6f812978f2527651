// Package emulator is AWS and the CIs, GitHub Actions and CircleCI before all, as
// far as one registry login needs them, on loopback, with TLS.
//
// It is not a mock: tokens are signed and their signatures checked, trust
// policies are evaluated, requests to AWS are verified with Signature Version 4,
// and the registry takes only passwords that the emulator's ECR gave out. Each of
// these is written here from the vendors' documents and shares no code with the
// program under test.
package emulator

import (
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"sync"
	"time"
)

// Options say how an emulator is started. The zero value is good for a test.
type Options struct {
	Addr      string           // TLS listener; default 127.0.0.1:0
	PlainAddr string           // HTTP listener, which is the proxy too; default 127.0.0.1:0
	PasswordTTL time.Duration    // life of ECR passwords; default 12 hours
	GitHubTokenTTL time.Duration    // life of GitHub's tokens; default 5 minutes, which is GitHub's
	SessionTTL  time.Duration    // the longest life of a role session, below what AWS gives; negative: STS reports that it is over already; default none
	Clock     func() time.Time // what the servers believe and send as Date; default time.Now
	OnCall    func(Call)       // told of each call when it is over; may be nil
}

// Server is one set of servers and all that they know.
type Server struct {
	opts  Options
	ca    *authority
	tls   net.Listener
	plain net.Listener
	srv   *http.Server
	done  chan struct{} // closed by Close; ends hanging answers and tunnels
	once  sync.Once

	mu          sync.Mutex
	calls       []*Call
	faults      map[string][]Fault
	roles       map[string]Role                // by ARN
	policies    map[string]*policy             // trust policies, by role ARN
	permissions map[string]*policy             // identity policies, by role ARN
	providers   map[string]map[string][]string // account, issuer without scheme, client ids
	users       map[string]User                // by ARN
	keys        map[string]principal           // by access key id: users and sessions
	sso         map[ssoGrant]string            // role ARN
	refresh     map[string]string              // SSO refresh token, good once, to access token
	logins      map[string]consoleLogin        // by refresh token
	proofs      map[string]bool                // ids of the proofs of possession that were used
	jobs        map[string]githubRun           // by request token
	builds      map[string][]buildkiteRun      // by access token
	pipelines   map[string]azureRun            // by access token
	passwords   map[string]grant               // ECR passwords given out
	stores      map[string]*store              // registries, by account and region
	buckets     map[string]*bucket             // what is left of each service's calls; none: as many as one likes
}

// Start begins to listen and returns an empty server: no roles, no providers, no
// users. Default fills it with a usual company.
func Start(o Options) (*Server, error) {
	if o.Addr == "" {
		o.Addr = "127.0.0.1:0"
	}
	if o.PlainAddr == "" {
		o.PlainAddr = "127.0.0.1:0"
	}
	if o.PasswordTTL == 0 {
		o.PasswordTTL = 12 * time.Hour
	}
	if o.GitHubTokenTTL == 0 {
		o.GitHubTokenTTL = 5 * time.Minute
	}
	if o.Clock == nil {
		o.Clock = time.Now
	}
	ca, err := newAuthority()
	if err != nil {
		return nil, fmt.Errorf("making the CA: %w", err)
	}
	w := &Server{
		opts: o, ca: ca, done: make(chan struct{}),
		faults: map[string][]Fault{}, roles: map[string]Role{}, policies: map[string]*policy{}, permissions: map[string]*policy{},
		providers: map[string]map[string][]string{}, users: map[string]User{}, keys: map[string]principal{},
		sso: map[ssoGrant]string{}, refresh: map[string]string{}, logins: map[string]consoleLogin{}, proofs: map[string]bool{},
		jobs: map[string]githubRun{}, builds: map[string][]buildkiteRun{}, pipelines: map[string]azureRun{},
		passwords: map[string]grant{}, stores: map[string]*store{}, buckets: map[string]*bucket{},
	}
	if err := w.listen(); err != nil {
		return nil, fmt.Errorf("starting the server: %w", err)
	}
	return w, nil
}

func (w *Server) listen() (err error) {
	if w.tls, err = net.Listen("tcp", w.opts.Addr); err != nil {
		return err
	}
	if w.plain, err = net.Listen("tcp", w.opts.PlainAddr); err != nil {
		w.tls.Close()
		return err
	}
	w.srv = &http.Server{
		Handler:   w,
		TLSConfig: w.ca.config(),
		// HTTP/1.1 only: a connection can be taken over and reset, and a
		// test that counts requests need not think about streams.
		Protocols: new(http.Protocols),
		// A client that does not trust the CA is a case under test, not news.
		ErrorLog: log.New(io.Discard, "", 0),
	}
	w.srv.Protocols.SetHTTP1(true)
	go w.srv.ServeTLS(w.tls, "", "")
	go w.srv.Serve(w.plain)
	return nil
}

// Close stops every listener, ends hanging answers and closes tunnels.
func (w *Server) Close() {
	w.once.Do(func() {
		close(w.done)
		w.srv.Close()
	})
}

// CAPEM returns the certificate that clients have to trust.
func (w *Server) CAPEM() []byte { return w.ca.pem }

// Addr returns host:port of the TLS listener.
func (w *Server) Addr() string { return reachable(w.tls) }

// URL returns the base of a service for clients that take a custom endpoint:
// sts, ecr, ecr-public, sso, sso-oidc, signin, aws (all of these), github-token, github,
// circleci, buildkite, forgejo, azure.
func (w *Server) URL(service string) string { return "https://" + w.Addr() + "/" + service }

// PlainURL is URL without TLS.
func (w *Server) PlainURL(service string) string {
	return "http://" + reachable(w.plain) + "/" + service
}

// ProxyURL returns the URL of a CONNECT proxy that leads every host to this server:
// with HTTPS_PROXY set to it an unmodified program reaches "real" names.
func (w *Server) ProxyURL() string { return "http://" + reachable(w.plain) }

// reachable is a listener's address; for one on all addresses (a lab whose names
// lie on 127.0.0.2 and so on) the first of loopback's.
func reachable(l net.Listener) string {
	addr := l.Addr().(*net.TCPAddr)
	if addr.IP.IsUnspecified() {
		return fmt.Sprintf("127.0.0.1:%d", addr.Port)
	}
	return addr.String()
}

func (w *Server) now() time.Time { return w.opts.Clock() }
