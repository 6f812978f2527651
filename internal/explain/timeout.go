package explain

import (
	"context"
	"fmt"
	"time"
)

// GetTimeout bounds one call by Docker, and each command that does the same. The steps inside have
// shorter limits; it also ends a call that they do not bound.
const GetTimeout = 28 * time.Second

// TimeoutError reports an action that did not end within its time limit.
type TimeoutError struct {
	Action string
	Limit  time.Duration
}

func (e *TimeoutError) Error() string {
	return fmt.Sprintf("%s: not done within %v", e.Action, e.Limit)
}

// Within returns the result of an action, or *TimeoutError after the limit. It returns in time also
// when the action blocks in a call that ignores its context, such as a read of a pipe or of a dead
// network mount. The action then goes on in the background, so it must not write to variables of
// the caller.
func Within[T any](action string, limit time.Duration, do func(context.Context) (T, error)) (T,
	error) {
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	type result struct {
		value T
		err   error
	}
	done := make(chan result, 1)
	go func() {
		value, err := do(ctx)
		done <- result{value, err}
	}()
	select {
	case r := <-done:
		return r.value, r.err
	case <-ctx.Done():
		var none T
		return none, &TimeoutError{action, limit}
	}
}
