package debuglog

import (
	"strings"
	"time"

	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/token"
)

// recordTimeout limits RecordFailure. A write to a network mount that does not respond can block
// forever.
const recordTimeout = time.Second

// RecordFailure records in GitHub Actions that a login to a registry failed: it appends the host and
// the error, which must be one line without secrets, to a file in RUNNER_TEMP. The action's post step
// reports the failures in this file. RecordFailure blocks for at most one second and returns no
// error, because the record must not change the result of a login. Concurrent processes may call it.
func RecordFailure(env token.Env, host, line string) {
	dir := env.Get("RUNNER_TEMP")
	if dir == "" || !strings.EqualFold(env.Get("GITHUB_ACTIONS"), "true") {
		return
	}
	log := &logFile{path: userFile(dir, "ecr-oidc-failures", ".txt")}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_, _ = log.Write([]byte(host + " " + line + "\n"))
	}()
	select {
	case <-done:
	case <-time.After(recordTimeout):
	}
}
