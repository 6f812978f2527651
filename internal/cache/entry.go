package cache

import (
	"fmt"
	"time"
)

// margin is how long before AWS's expiry an entry stops being usable, so that a push that has started
// can finish.
const margin = 15 * time.Minute

// Entry is a login and its lifetime. The lifetime is in durations since CreatedAt, not in AWS's
// dates, so it is correct even if the local clock is wrong, as long as the clock is not changed.
// String and GoString omit the secret.
type Entry struct {
	Username  string
	Secret    string
	CreatedAt time.Time     // by the local clock
	TTL       time.Duration // from CreatedAt until AWS's expiry
	FreshFor  time.Duration // from CreatedAt until the next call fetches a new login; may be negative
	Subject   string        // of the OIDC token that it was obtained with; "" if there was none
}

func (e Entry) String() string {
	return fmt.Sprintf("login of %q created %v for %v", e.Username, e.CreatedAt, e.TTL)
}

// GoString is String.
func (e Entry) GoString() string { return e.String() }

// IsFresh reports whether the entry is returned at the time now without a fetch.
func (e Entry) IsFresh(now time.Time) bool {
	return e.IsUsable(now) && now.Sub(e.CreatedAt) < e.FreshFor
}

// IsUsable reports whether the entry may be returned at the time now if a fetch fails, for example
// because AWS or the CI cannot be reached.
func (e Entry) IsUsable(now time.Time) bool { return e.Remaining(now) > 0 }

// Remaining returns how long the entry is usable after the time now, or zero if it is not usable.
func (e Entry) Remaining(now time.Time) time.Duration {
	age := now.Sub(e.CreatedAt)
	// A negative age means that the clock was set back, so the age is unknown.
	if age < 0 || age >= e.TTL-margin {
		return 0
	}
	return e.TTL - margin - age
}
