// Package emulator emulates, on loopback and over TLS, the services of a registry login: STS, ECR
// and its registries, IAM Identity Center, AWS Sign-In, and the token endpoints of the CIs.
//
// It verifies what the services verify: it signs tokens and checks their signatures, evaluates trust
// policies, verifies Signature Version 4, and accepts only the registry passwords that its own ECR
// issued. It is written from the vendors' documentation and shares no code with the program under test.
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

// Options configure an emulator. The zero value suits most tests.
type Options struct {
	Addr           string        // of the TLS listener; default 127.0.0.1:0
	PlainAddr      string        // of the HTTP listener, which is also the proxy; default 127.0.0.1:0
	PasswordTTL    time.Duration // of ECR passwords; default 12 hours
	GitHubTokenTTL time.Duration // default 5 minutes, as on GitHub

	// SessionTTL limits how long role sessions are valid. If it is negative, the sessions are
	// valid as usual, but STS reports an expiry in the past. Default: no limit besides those of
	// AWS.
	SessionTTL time.Duration

	Clock  func() time.Time // the time of all services; default time.Now
	OnCall func(Call)       // if not nil, called after each call
}

// Server is an emulator. Its methods may be called concurrently.
type Server struct {
	opts  Options
	ca    *certificateAuthority
	tls   net.Listener
	plain net.Listener
	srv   *http.Server
	done  chan struct{} // closed by Close; ends hanging responses and tunnels
	once  sync.Once

	mu               sync.Mutex
	calls            []*Call
	faults           map[string][]Fault             // queues, by service or service.operation
	roles            map[string]Role                // by ARN
	trustPolicies    map[string]*policy             // by role ARN
	identityPolicies map[string]*policy             // by role ARN
	providers        map[string]map[string][]string // client IDs, by account and issuer without scheme
	users            map[string]User                // by ARN
	principals       map[string]principal           // by access key ID
	ssoAssignments   map[ssoAssignment]string       // role ARNs
	ssoRefreshTokens map[string]string              // access tokens, by refresh token
	consoleLogins    map[string]consoleLogin        // by refresh token
	usedProofs       map[string]bool                // IDs of DPoP proofs
	githubRuns       map[string]githubRun           // by request token
	buildkiteRuns    map[string][]buildkiteRun      // by agent access token
	azureRuns        map[string]azureRun            // by System.AccessToken
	passwordGrants   map[string]passwordGrant       // by ECR password
	imageStores      map[string]*imageStore         // by account/region
	buckets          map[string]*bucket             // by service; a service without one is not throttled
}

// Start starts an emulator without roles, providers or users. AddDefaults adds some.
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
	ca, err := newCertificateAuthority()
	if err != nil {
		return nil, fmt.Errorf("creating the CA: %w", err)
	}
	s := &Server{
		opts: o, ca: ca, done: make(chan struct{}),
		faults:           map[string][]Fault{},
		roles:            map[string]Role{},
		trustPolicies:    map[string]*policy{},
		identityPolicies: map[string]*policy{},
		providers:        map[string]map[string][]string{},
		users:            map[string]User{},
		principals:       map[string]principal{},
		ssoAssignments:   map[ssoAssignment]string{},
		ssoRefreshTokens: map[string]string{},
		consoleLogins:    map[string]consoleLogin{},
		usedProofs:       map[string]bool{},
		githubRuns:       map[string]githubRun{},
		buildkiteRuns:    map[string][]buildkiteRun{},
		azureRuns:        map[string]azureRun{},
		passwordGrants:   map[string]passwordGrant{},
		imageStores:      map[string]*imageStore{},
		buckets:          map[string]*bucket{},
	}
	if err := s.listen(); err != nil {
		return nil, fmt.Errorf("starting the server: %w", err)
	}
	return s, nil
}

func (s *Server) listen() (err error) {
	if s.tls, err = net.Listen("tcp", s.opts.Addr); err != nil {
		return err
	}
	if s.plain, err = net.Listen("tcp", s.opts.PlainAddr); err != nil {
		s.tls.Close()
		return err
	}
	s.srv = &http.Server{
		Handler:   s,
		TLSConfig: s.ca.config(),
		// HTTP/1.1 only: a connection can be hijacked and reset, and each connection serves
		// one request at a time.
		Protocols: new(http.Protocols),
		// Some tests use clients that do not trust the CA. Their handshake errors are expected.
		ErrorLog: log.New(io.Discard, "", 0),
	}
	s.srv.Protocols.SetHTTP1(true)
	go s.srv.ServeTLS(s.tls, "", "")
	go s.srv.Serve(s.plain)
	return nil
}

// Close stops the listeners, and ends hanging responses and tunnels.
func (s *Server) Close() {
	s.once.Do(func() {
		close(s.done)
		s.srv.Close()
	})
}

// CAPEM returns the CA certificate that clients have to trust, in PEM.
func (s *Server) CAPEM() []byte { return s.ca.pem }

// Addr returns the address of the TLS listener, as host:port.
func (s *Server) Addr() string { return dialAddr(s.tls) }

// URL returns the custom endpoint of a service: sts, ecr, ecr-public, sso, sso-oidc, signin, aws (all
// of these), github-token, github, circleci, buildkite, forgejo or azure.
func (s *Server) URL(service string) string { return "https://" + s.Addr() + "/" + service }

// PlainURL is URL without TLS.
func (s *Server) PlainURL(service string) string {
	return "http://" + dialAddr(s.plain) + "/" + service
}

// ProxyURL returns the URL of a CONNECT proxy that connects every host to this emulator. With it as
// HTTPS_PROXY, an unmodified program reaches the emulator under the services' real names.
func (s *Server) ProxyURL() string { return "http://" + dialAddr(s.plain) }

// dialAddr returns the address at which clients on this machine reach a listener. For a listener on all
// addresses it is on 127.0.0.1.
func dialAddr(l net.Listener) string {
	addr := l.Addr().(*net.TCPAddr)
	if addr.IP.IsUnspecified() {
		return fmt.Sprintf("127.0.0.1:%d", addr.Port)
	}
	return addr.String()
}

func (s *Server) now() time.Time { return s.opts.Clock() }
