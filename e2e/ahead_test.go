package e2e

import (
	"io"
	"net"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/ecr-oidc/docker-credential-ecr-oidc/e2e/emulator"
)

// door is another address of the emulator's, which counts who comes in.
type door struct {
	net.Listener
	entered atomic.Int32
	first   chan struct{} // closed when somebody came
}

func newDoor(t *testing.T, w *emulator.Server) *door {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	d := &door{Listener: l, first: make(chan struct{})}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			outside, err := l.Accept()
			if err != nil {
				return
			}
			if d.entered.Add(1) == 1 {
				close(d.first)
			}
			go lead(outside, w.Addr())
		}
	}()
	return d
}

// lead joins a connection to an address until one side is done.
func lead(outside net.Conn, addr string) {
	defer outside.Close()
	inside, err := net.Dial("tcp", addr)
	if err != nil {
		return
	}
	defer inside.Close()
	var both sync.WaitGroup
	both.Go(func() { io.Copy(inside, outside); inside.Close() })
	both.Go(func() { io.Copy(outside, inside); outside.Close() })
	both.Wait()
}

// TestConnectsAhead checks that a get connects to STS and ECR while GitHub makes the token, and to
// ECR while STS makes the role session. It opens one connection to each. A cached get opens none.
func TestConnectsAhead(t *testing.T) {
	for _, tt := range []struct {
		name string
		held string // whose answer waits for the others' connections
	}{{"GitHub", "oidc"}, {"CircleCI", "sts"}} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			j := newJob(t)
			if tt.name == "CircleCI" {
				j.onCircle(emulator.CircleJob{})
			}
			sts, ecr := newDoor(t, j.server), newDoor(t, j.server)
			j.env["AWS_ENDPOINT_URL_STS"] = "https://" + sts.Addr().String() + "/sts"
			j.env["AWS_ENDPOINT_URL_ECR"] = "https://" + ecr.Addr().String() + "/ecr"
			both := make(chan struct{})
			go func() { <-sts.first; <-ecr.first; close(both) }()
			j.server.AddFault(tt.held, emulator.Fault{Until: both})
			for range 2 {
				if _, stderr, err := j.get(defaultHost); err != nil {
					t.Fatalf("%v: %s", err, stderr)
				}
				if s, e := sts.entered.Load(), ecr.entered.Load(); s != 1 || e != 1 {
					t.Errorf("%d connections to STS, %d to ECR; want one each", s, e)
				}
			}
		})
	}
}
