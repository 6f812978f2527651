package emulator

import (
	"strings"
	"testing"
	"time"
)

// A service answers its burst, then what its rate has earned since, and never more than a burst of that; what is too
// much gets the service's own error, and the other services go on.
func TestThrottle(t *testing.T) {
	for service, refusal := range map[string]string{
		"sts":        "<Type>Sender</Type><Code>Throttling</Code><Message>Rate exceeded</Message>",
		"ecr":        `{"__type":"ThrottlingException","message":"Rate exceeded"}`,
		"ecr-public": `{"__type":"ThrottlingException","message":"Rate exceeded"}`,
		"oidc":       `{"message":"Too Many Requests"}`,
	} {
		t.Run(service, func(t *testing.T) {
			now := time.Now()
			w := start(t, Options{Clock: func() time.Time { return now }})
			job := w.GitHub(GitHubJob{})
			ask := func() (status int, body string) {
				if service == "oidc" {
					return do(t, w, get(job["ACTIONS_ID_TOKEN_REQUEST_URL"], "Authorization", "Bearer "+job["ACTIONS_ID_TOKEN_REQUEST_TOKEN"]))
				}
				return do(t, w, post(w.URL(service), "application/x-www-form-urlencoded", "Action=GetCallerIdentity"))
			}
			// asked asks n times; good is how many are answered, in whatever way, before the service has had enough.
			asked := func(n, good int) {
				t.Helper()
				for i := range n {
					status, body := ask()
					throttled := strings.Contains(body, refusal)
					if want := map[bool]int{true: 429, false: 400}[service == "oidc"]; throttled && status != want {
						t.Errorf("throttled with HTTP %d, want %d", status, want)
					}
					if throttled != (i >= good) {
						t.Fatalf("call %d of %d: %d %s; %d should be answered", i+1, n, status, body, good)
					}
				}
			}
			w.Throttle(service, 2, 3)
			asked(5, 3)
			now = now.Add(time.Second)
			asked(4, 2)
			now = now.Add(-time.Minute) // a clock that is set back earns nothing, and takes nothing away
			asked(1, 0)
			now = now.Add(time.Minute + 400*time.Millisecond)
			asked(1, 0)
			now = now.Add(100 * time.Millisecond) // half a second since: one
			asked(2, 1)
			now = now.Add(time.Hour)
			asked(9, 3)
			other := map[bool]string{true: "ecr", false: "sts"}[service == "sts"]
			if _, body := do(t, w, post(w.URL(other), "application/x-www-form-urlencoded", "Action=GetCallerIdentity")); strings.Contains(body, "Rate exceeded") {
				t.Errorf("%s is throttled too: %s", other, body)
			}
			calls, throttled := w.Calls(), 0
			for _, c := range calls {
				if c.Throttled {
					throttled++
				}
				if c.Throttled && c.Service != service {
					t.Errorf("%+v", c)
				}
			}
			if good := 3 + 2 + 1 + 3; len(calls)-1-throttled != good {
				t.Errorf("%d calls, %d of them throttled; %d should be answered", len(calls)-1, throttled, good)
			}
			w.Throttle(service, 1, 50)
			asked(20, 20)
		})
	}
}

// A limit for something that has none is a mistake in the test.
func TestThrottleUnknown(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("a registry with a rate limit that nobody has written down")
		}
	}()
	start(t, Options{}).Throttle("registry", 1, 1)
}
