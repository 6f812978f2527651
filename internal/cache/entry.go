package cache

import (
	"fmt"
	"time"
)

// margin is how long before AWS's expiry an entry stops being usable, so that a push that has begun can finish.
const margin = 15 * time.Minute

// Entry is a login and how long it is good for. Times are durations since CreatedAt and not AWS's dates: a clock that
// is wrong does no harm as long as it runs evenly. String and GoString leave the secret out.
type Entry struct {
	Username  string
	Secret    string
	CreatedAt time.Time     // by the local clock
	TTL       time.Duration // from CreatedAt until AWS's expiry
	FreshFor  time.Duration // from CreatedAt until the login is fetched again; zero or less: at once
}

func (e Entry) String() string {
	return fmt.Sprintf("login of %q created %v for %v", e.Username, e.CreatedAt, e.TTL)
}

// GoString is String.
func (e Entry) GoString() string { return e.String() }

// IsFresh reports whether the entry is returned at the time now without a request.
func (e Entry) IsFresh(now time.Time) bool {
	return e.IsUsable(now) && now.Sub(e.CreatedAt) < e.FreshFor
}

// IsUsable reports whether the entry may be returned at the time now when AWS or the CI cannot be reached.
func (e Entry) IsUsable(now time.Time) bool { return e.Remaining(now) > 0 }

// Remaining returns how long the entry is usable after the time now; zero if it is not.
func (e Entry) Remaining(now time.Time) time.Duration {
	age := now.Sub(e.CreatedAt)
	if age < 0 || age >= e.TTL-margin { // when the clock was set back, the age is unknown
		return 0
	}
	return e.TTL - margin - age
}
