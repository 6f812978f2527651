package e2e

import (
	"io"
	"net"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/ecr-oidc/docker-credential-ecr-oidc/e2e/emulator"
)

// countingListener is another address of the emulator. It counts the connections.
type countingListener struct {
	net.Listener
	connections atomic.Int32
	first       chan struct{} // closed after the first connection
}

func newCountingListener(t *testing.T, w *emulator.Server) *countingListener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	c := &countingListener{Listener: l, first: make(chan struct{})}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			if c.connections.Add(1) == 1 {
				close(c.first)
			}
			go relay(client, w.Addr())
		}
	}()
	return c
}

// relay connects a connection to an address until one side closes.
func relay(client net.Conn, addr string) {
	defer client.Close()
	backend, err := net.Dial("tcp", addr)
	if err != nil {
		return
	}
	defer backend.Close()
	var both sync.WaitGroup
	both.Go(func() { io.Copy(backend, client); backend.Close() })
	both.Go(func() { io.Copy(client, backend); client.Close() })
	both.Wait()
}

// TestPreconnect checks that a get connects to STS and ECR while GitHub creates the token, and to
// ECR while STS creates the role session. It opens one connection to each. A cached get opens none.
func TestPreconnect(t *testing.T) {
	for _, tt := range []struct {
		name    string
		delayed string // waits with its response for the connections to the others
	}{{"GitHub", "oidc"}, {"CircleCI", "sts"}} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			j := newJob(t)
			if tt.name == "CircleCI" {
				j.onCircle(emulator.CircleJob{})
			}
			sts, ecr := newCountingListener(t, j.server), newCountingListener(t, j.server)
			j.env["AWS_ENDPOINT_URL_STS"] = "https://" + sts.Addr().String() + "/sts"
			j.env["AWS_ENDPOINT_URL_ECR"] = "https://" + ecr.Addr().String() + "/ecr"
			both := make(chan struct{})
			go func() { <-sts.first; <-ecr.first; close(both) }()
			j.server.AddFault(tt.delayed, emulator.Fault{Until: both})
			for range 2 {
				if _, stderr, err := j.get(defaultHost); err != nil {
					t.Fatalf("%v: %s", err, stderr)
				}
				if s, e := sts.connections.Load(), ecr.connections.Load(); s != 1 || e != 1 {
					t.Errorf("%d connections to STS, %d to ECR; want one each", s, e)
				}
			}
		})
	}
}
