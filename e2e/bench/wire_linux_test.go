package main

import (
	"errors"
	"io"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

// end is where packets arrive; it loses the one that it is told to.
type end struct {
	got  []string
	at   []time.Duration
	from time.Time
	lose string
}

func (e *end) Write(b []byte) (int, error) {
	if string(b) == e.lose {
		return 0, errors.New("no buffer space available")
	}
	e.got, e.at = append(e.got, string(b)), append(e.at, time.Since(e.from))
	return len(b), nil
}

// Each packet arrives whole, in order, and just the delay after it was sent, those too that are sent while others are on
// their way. One that is lost does not hold up the next.
func TestRelay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const delay = 30 * time.Millisecond
		from, sender := io.Pipe()
		to := &end{from: time.Now(), lose: "lost"}
		go func() {
			for _, p := range []struct {
				wait time.Duration
				data string
			}{{0, "one"}, {0, "two"}, {10 * time.Millisecond, "three"}, {time.Millisecond, "lost"}, {time.Minute, "four"}} {
				time.Sleep(p.wait)
				sender.Write([]byte(p.data))
			}
			sender.Close()
		}()
		relay(from, to, delay, time.Sleep)
		if want := []string{"one", "two", "three", "four"}; !slices.Equal(to.got, want) {
			t.Errorf("arrived: %q, want %q", to.got, want)
		}
		want := []time.Duration{delay, delay, delay + 10*time.Millisecond, delay + 11*time.Millisecond + time.Minute}
		if !slices.Equal(to.at, want) {
			t.Errorf("arrived at %v, want %v", to.at, want)
		}
	})
}
