package emulator

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"sync"
	"time"
)

// certificateAuthority issues certificates for any host name.
type certificateAuthority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey // of the CA and of all leaf certificates
	pem  []byte

	mu     sync.Mutex
	leaves map[string]*tls.Certificate
}

func newCertificateAuthority() (*certificateAuthority, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	// Certificates follow the machine's clock, not Options.Clock, because clients check them by
	// their own.
	t := &x509.Certificate{
		SerialNumber:          big.NewInt(1),
		Subject:               pkix.Name{CommonName: "emulator test CA"},
		NotBefore:             time.Now().Add(-24 * time.Hour),
		NotAfter:              time.Now().AddDate(1, 0, 0),
		IsCA:                  true,
		BasicConstraintsValid: true,
		KeyUsage:              x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, t, t, key.Public(), key)
	if err != nil {
		return nil, err
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, err
	}
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	return &certificateAuthority{cert: cert, key: key, pem: text, leaves: map[string]*tls.Certificate{}}, nil
}

func (a *certificateAuthority) config() *tls.Config {
	return &tls.Config{GetCertificate: func(h *tls.ClientHelloInfo) (*tls.Certificate, error) {
		name := h.ServerName // empty for an IP address, which has no SNI
		if name == "" {
			name = "localhost"
		}
		return a.leaf(name)
	}}
}

func (a *certificateAuthority) leaf(name string) (*tls.Certificate, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if c := a.leaves[name]; c != nil {
		return c, nil
	}
	t := &x509.Certificate{
		SerialNumber: big.NewInt(int64(len(a.leaves) + 2)),
		Subject:      pkix.Name{CommonName: "emulator"}, // a host name can be too long for a CN
		DNSNames:     []string{name},
		NotBefore:    a.cert.NotBefore,
		NotAfter:     a.cert.NotAfter,
		KeyUsage:     x509.KeyUsageDigitalSignature,
		ExtKeyUsage:  []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	if name == "localhost" {
		t.IPAddresses = []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback}
	}
	der, err := x509.CreateCertificate(rand.Reader, t, a.cert, a.key.Public(), a.key)
	if err != nil {
		return nil, fmt.Errorf("creating a certificate for %q: %w", name, err)
	}
	c := &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: a.key}
	a.leaves[name] = c
	return c, nil
}

// Transport returns a client transport that trusts the CA and connects every host name to this
// emulator: port 80 to the plain listener, all other ports to the TLS listener.
func (s *Server) Transport() *http.Transport {
	pool := x509.NewCertPool()
	pool.AddCert(s.ca.cert)
	return &http.Transport{
		TLSClientConfig: &tls.Config{RootCAs: pool},
		DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
			host, port, err := net.SplitHostPort(addr)
			if err != nil {
				return nil, err
			}
			switch {
			case loopback(host): // the emulator's own URLs have ports
			case port == "80":
				addr = dialAddr(s.plain)
			default:
				addr = s.Addr()
			}
			return new(net.Dialer).DialContext(ctx, network, addr)
		},
	}
}

func loopback(host string) bool { return host == "localhost" || host == "127.0.0.1" || host == "::1" }
