package main

import (
	"errors"
	"io"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

// receiver records the packets that it receives. It fails for one of them.
type receiver struct {
	got  []string
	at   []time.Duration
	from time.Time
	lose string
}

func (r *receiver) Write(b []byte) (int, error) {
	if string(b) == r.lose {
		return 0, errors.New("no buffer space available")
	}
	r.got, r.at = append(r.got, string(b)), append(r.at, time.Since(r.from))
	return len(b), nil
}

// TestRelay checks that packets arrive complete, in order and exactly with the delay, also if
// several are under way, and that a lost packet does not delay the next one.
func TestRelay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const delay = 30 * time.Millisecond
		from, sender := io.Pipe()
		to := &receiver{from: time.Now(), lose: "lost"}
		go func() {
			for _, p := range []struct {
				wait time.Duration
				data string
			}{{0, "one"}, {0, "two"}, {10 * time.Millisecond, "three"}, {time.Millisecond, "lost"},
				{time.Minute, "four"}} {
				time.Sleep(p.wait)
				sender.Write([]byte(p.data))
			}
			sender.Close()
		}()
		relay(from, to, delay, time.Sleep)
		if want := []string{"one", "two", "three", "four"}; !slices.Equal(to.got, want) {
			t.Errorf("arrived: %q, want %q", to.got, want)
		}
		want := []time.Duration{delay, delay, delay + 10*time.Millisecond,
			delay + 11*time.Millisecond + time.Minute}
		if !slices.Equal(to.at, want) {
			t.Errorf("arrived at %v, want %v", to.at, want)
		}
	})
}
