package explain

import (
	"context"
	"fmt"
	"time"
)

// GetTimeout limits one call by Docker, and each command that makes the same requests. Each request of
// a call has a shorter limit. GetTimeout also ends a call that blocks elsewhere, for example while it
// reads a file.
const GetTimeout = 28 * time.Second

// TimeoutError reports an action that did not end within its time limit.
type TimeoutError struct {
	Action string // a gerund, such as "running get"
	Limit  time.Duration
}

func (e *TimeoutError) Error() string {
	return fmt.Sprintf("%s: timed out after %v", e.Action, e.Limit)
}

// RunWithTimeout calls run and returns its result, or *TimeoutError after the limit. name is the
// Action of that error. RunWithTimeout also returns in time when run blocks in a call that ignores
// its context, such as a read from a pipe without a writer or from a network mount that does not
// respond. In that case run continues in the background, so it must not write to variables of the
// caller.
func RunWithTimeout[T any](
	name string, limit time.Duration, run func(context.Context) (T, error),
) (T, error) {
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	type result struct {
		value T
		err   error
	}
	done := make(chan result, 1)
	go func() {
		value, err := run(ctx)
		done <- result{value, err}
	}()
	select {
	case r := <-done:
		return r.value, r.err
	case <-ctx.Done():
		var zero T
		return zero, &TimeoutError{name, limit}
	}
}
