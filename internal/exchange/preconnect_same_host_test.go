package exchange

import "testing"

// TestPreconnectSameHost checks that one connection is opened when STS and ECR have the same address.
func TestPreconnectSameHost(t *testing.T) {
	s := startService(t, serviceOptions{}, nil)
	p := startPreconnect(t, t.Context(), newTestInput(t, s, s))
	waitForConnections(t, p)
	if opened, _, _ := s.counts(); opened != 1 || len(p.conns) != 1 {
		t.Errorf("%d connections opened to %d addresses", opened, len(p.conns))
	}
}
