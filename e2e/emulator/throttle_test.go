package emulator

import (
	"strings"
	"testing"
	"time"
)

// TestThrottle checks that a service accepts its burst, then as many calls as its rate allows, and
// never more than a burst at once. Other calls fail with the service's own error. Other services
// are not throttled.
func TestThrottle(t *testing.T) {
	for service, refusal := range map[string]string{
		"sts":        "<Type>Sender</Type><Code>Throttling</Code><Message>Rate exceeded</Message>",
		"ecr":        `{"__type":"ThrottlingException","message":"Rate exceeded"}`,
		"ecr-public": `{"__type":"ThrottlingException","message":"Rate exceeded"}`,
		"oidc":       `{"message":"Too Many Requests"}`,
	} {
		t.Run(service, func(t *testing.T) {
			now := time.Now()
			s := start(t, Options{Clock: func() time.Time { return now }})
			job := s.GitHub(GitHubJob{})
			call := func() (status int, body string) {
				if service == "oidc" {
					return send(t, s,
						get(job["ACTIONS_ID_TOKEN_REQUEST_URL"], "Authorization",
							"Bearer "+job["ACTIONS_ID_TOKEN_REQUEST_TOKEN"]))
				}
				return send(t, s, post(s.URL(service), "application/x-www-form-urlencoded",
					"Action=GetCallerIdentity"))
			}
			// calls makes n calls. It checks that the first accepted calls succeed and
			// all others are throttled.
			calls := func(n, accepted int) {
				t.Helper()
				for i := range n {
					status, body := call()
					throttled := strings.Contains(body, refusal)
					if want := map[bool]int{true: 429, false: 400}[service == "oidc"]; throttled &&
						status != want {
						t.Errorf("throttled with HTTP %d, want %d", status, want)
					}
					if throttled != (i >= accepted) {
						t.Fatalf("call %d of %d: %d %s; want %d accepted", i+1, n, status, body, accepted)
					}
				}
			}
			s.Throttle(service, 2, 3)
			calls(5, 3)
			now = now.Add(time.Second)
			calls(4, 2)
			now = now.Add(-time.Minute) // a clock that is set back adds and removes no tokens
			calls(1, 0)
			now = now.Add(time.Minute + 400*time.Millisecond)
			calls(1, 0)
			now = now.Add(100 * time.Millisecond) // half a second in total: one token
			calls(2, 1)
			now = now.Add(time.Hour)
			calls(9, 3)
			other := map[bool]string{true: "ecr", false: "sts"}[service == "sts"]
			if _, body := send(t, s, post(s.URL(other), "application/x-www-form-urlencoded",
				"Action=GetCallerIdentity")); strings.Contains(body, "Rate exceeded") {
				t.Errorf("%s is throttled too: %s", other, body)
			}
			all, throttled := s.Calls(), 0
			for _, c := range all {
				if c.Throttled {
					throttled++
				}
				if c.Throttled && c.Service != service {
					t.Errorf("%+v", c)
				}
			}
			if accepted := 3 + 2 + 1 + 3; len(all)-1-throttled != accepted {
				t.Errorf("%d calls, %d of them throttled; want %d accepted", len(all)-1, throttled, accepted)
			}
			s.Throttle(service, 1, 50)
			calls(20, 20)
		})
	}
}

// TestThrottleUnknown checks that Throttle panics for a service without a documented throttling error.
func TestThrottleUnknown(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("Throttle accepted a registry")
		}
	}()
	start(t, Options{}).Throttle("registry", 1, 1)
}
