package explain

import (
	"context"
	"errors"
	"testing"
	"time"
)

func TestRunWithTimeout(t *testing.T) {
	failure := errors.New("failure")
	got, err := RunWithTimeout("doing this", time.Minute,
		func(context.Context) (int, error) { return 1, failure })
	if got != 1 || err != failure {
		t.Errorf("in time: %d, %v", got, err)
	}
	release := make(chan struct{})
	defer close(release)
	got, err = RunWithTimeout("doing this", time.Millisecond, func(ctx context.Context) (int, error) {
		<-ctx.Done()
		<-release // a call that ignores the context
		return 1, nil
	})
	var timeout *TimeoutError
	if got != 0 || !errors.As(err, &timeout) || err.Error() != "doing this: timed out after 1ms" {
		t.Errorf("late: %d, %v", got, err)
	}
}
