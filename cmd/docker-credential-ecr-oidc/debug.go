package main

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/config"
	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/oneline"
)

// debug returns a function that writes a step as one line, without secrets, to stderr if
// ECR_OIDC_DEBUG is on. For ECR hosts, config reports an unknown value.
func (p program) debug() func(format string, args ...any) {
	on, err := config.Switch(p.env, "ECR_OIDC_DEBUG", false)
	if !on || err != nil {
		return func(string, ...any) {}
	}
	return p.steps(p.stderr, "ecr-oidc: debug: ")
}

// steps returns a function that writes a step as one line, with the time since steps was called.
// Each line is one call of Write.
func (p program) steps(w io.Writer, prefix string) func(format string, args ...any) {
	start := time.Now()
	return func(format string, args ...any) {
		text := oneline.Line(oneline.Strike(fmt.Sprintf(format, args...), p.env.Secrets()...))
		fmt.Fprintf(w, "%s%4d ms: %s\n", prefix, time.Since(start).Milliseconds(), text)
	}
}

// runnerDebug reports whether the steps go to a file: GitHub's debug logging is on, and
// ECR_OIDC_DEBUG does not decide. They do not go to stderr then, because some clients (cue, Spring
// Boot) parse stdout and stderr together.
func (p program) runnerDebug() bool {
	return p.env.Get("RUNNER_DEBUG") == "1" && p.env.Get("ECR_OIDC_DEBUG") == "" && p.env.Get("RUNNER_TEMP") != ""
}

// runnerLog is debug to the log under RUNNER_TEMP, which the action's post step shows. The process
// id in each line tells concurrent processes apart.
func (p program) runnerLog() func(format string, args ...any) {
	name := "ecr-oidc-debug.log"
	if uid := os.Getuid(); uid >= 0 { // -1 on Windows
		name = "ecr-oidc-debug-" + strconv.Itoa(uid) + ".log"
	}
	log := &debugLog{path: filepath.Join(p.env.Get("RUNNER_TEMP"), name)}
	return p.steps(log, fmt.Sprintf("ecr-oidc[%d]: debug: ", os.Getpid()))
}

// maxDebugLog is the size in bytes beyond which nothing is appended to the debug log.
const maxDebugLog = 1 << 20

// debugLog appends to a file that other processes append to. It opens the file on the first write.
// A file that cannot be used is no error: then nothing is written.
type debugLog struct {
	path string
	once sync.Once
	file *os.File
}

func (l *debugLog) Write(line []byte) (int, error) {
	l.once.Do(func() { l.file = openDebugLog(l.path) })
	if l.file == nil {
		return len(line), nil
	}
	if fi, err := l.file.Stat(); err != nil || fi.Size()+int64(len(line)) > maxDebugLog {
		return len(line), nil
	}
	return l.file.Write(line)
}
