// Package debuglog writes the steps of a command if ECR_OIDC_DEBUG or GitHub's debug logging is on. In
// GitHub Actions it also records each failed login in a file that the action's post step reports.
package debuglog

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/config"
	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/safetext"
	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/token"
)

// Func writes one line about a step. It redacts secrets.
type Func = func(format string, args ...any)

// ForCommand returns the Func for a command that logs in. It writes to stderr if ECR_OIDC_DEBUG is
// on. If ECR_OIDC_DEBUG is not set and GitHub's debug logging is on, it writes to a file in
// RUNNER_TEMP. In that case it does not write to stderr, because some clients (cue, Spring Boot)
// parse stdout and stderr together.
func ForCommand(env token.Env, stderr io.Writer) Func {
	dir := env.Get("RUNNER_TEMP")
	if env.Get("RUNNER_DEBUG") != "1" || env.Get("ECR_OIDC_DEBUG") != "" || dir == "" {
		return ToStderr(env, stderr)
	}
	// The action's post step prints this file. The process ID distinguishes concurrent processes.
	log := &logFile{path: userFile(dir, "ecr-oidc-debug", ".log")}
	return newFunc(env, log, fmt.Sprintf("ecr-oidc[%d]: debug: ", os.Getpid()))
}

// userFile returns the path of a file of this user in a directory that several users share.
func userFile(dir, name, extension string) string {
	if uid := os.Getuid(); uid >= 0 { // -1 on Windows
		name += "-" + strconv.Itoa(uid)
	}
	return filepath.Join(dir, name+extension)
}

// ToStderr returns a Func that writes to stderr if ECR_OIDC_DEBUG is on, and otherwise does nothing.
// It ignores an invalid value, which config reports.
func ToStderr(env token.Env, stderr io.Writer) Func {
	on, err := config.Bool(env, "ECR_OIDC_DEBUG", false)
	if !on || err != nil {
		return func(string, ...any) {}
	}
	return newFunc(env, stderr, "ecr-oidc: debug: ")
}

// newFunc returns a Func that prefixes each line with the time since the call of newFunc. It writes
// each line with one call of Write.
func newFunc(env token.Env, w io.Writer, prefix string) Func {
	start := time.Now()
	return func(format string, args ...any) {
		text := safetext.SingleLine(safetext.Redact(fmt.Sprintf(format, args...), env.Secrets()...))
		fmt.Fprintf(w, "%s%4d ms: %s\n", prefix, time.Since(start).Milliseconds(), text)
	}
}

// maxSize is the maximum size of the file in bytes. A line that would exceed it is not written.
const maxSize = 1 << 20

// logFile appends to a file that other processes append to. It opens the file on the first write. If
// the file cannot be opened, it writes nothing and returns no error.
type logFile struct {
	path string
	once sync.Once
	file *os.File
}

func (l *logFile) Write(line []byte) (int, error) {
	l.once.Do(func() { l.file = openAppend(l.path) })
	if l.file == nil {
		return len(line), nil
	}
	if fi, err := l.file.Stat(); err != nil || fi.Size()+int64(len(line)) > maxSize {
		return len(line), nil
	}
	return l.file.Write(line)
}
