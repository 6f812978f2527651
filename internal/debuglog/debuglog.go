// Package debuglog writes the steps of a login for ECR_OIDC_DEBUG and for GitHub's debug logging.
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

// Func writes a step as one line, without secrets.
type Func = func(format string, args ...any)

// ForLogin returns a Func for a login. It writes to stderr if ECR_OIDC_DEBUG is on, or else to a
// file if GitHub's debug logging is on and ECR_OIDC_DEBUG is not set. It does not write to stderr
// in the second case, because some clients (cue, Spring Boot) parse stdout and stderr together.
func ForLogin(env token.Env, stderr io.Writer) Func {
	dir := env.Get("RUNNER_TEMP")
	if env.Get("RUNNER_DEBUG") != "1" || env.Get("ECR_OIDC_DEBUG") != "" || dir == "" {
		return ToStderr(env, stderr)
	}
	name := "ecr-oidc-debug.log"
	if uid := os.Getuid(); uid >= 0 { // -1 on Windows
		name = "ecr-oidc-debug-" + strconv.Itoa(uid) + ".log"
	}
	// The action's post step shows this file. The process id tells concurrent processes apart.
	log := &logFile{path: filepath.Join(dir, name)}
	return steps(env, log, fmt.Sprintf("ecr-oidc[%d]: debug: ", os.Getpid()))
}

// ToStderr returns a Func that writes to stderr if ECR_OIDC_DEBUG is on. For ECR hosts, config
// reports an unknown value.
func ToStderr(env token.Env, stderr io.Writer) Func {
	on, err := config.Switch(env, "ECR_OIDC_DEBUG", false)
	if !on || err != nil {
		return func(string, ...any) {}
	}
	return steps(env, stderr, "ecr-oidc: debug: ")
}

// steps returns a Func that adds the time since steps was called. Each line is one call of Write.
func steps(env token.Env, w io.Writer, prefix string) Func {
	start := time.Now()
	return func(format string, args ...any) {
		text := safetext.SingleLine(safetext.Redact(fmt.Sprintf(format, args...), env.Secrets()...))
		fmt.Fprintf(w, "%s%4d ms: %s\n", prefix, time.Since(start).Milliseconds(), text)
	}
}

// maxSize is the size in bytes beyond which nothing is appended to the file.
const maxSize = 1 << 20

// logFile appends to a file that other processes append to. It opens the file on the first write.
// A file that cannot be used is no error: then nothing is written.
type logFile struct {
	path string
	once sync.Once
	file *os.File
}

func (l *logFile) Write(line []byte) (int, error) {
	l.once.Do(func() { l.file = open(l.path) })
	if l.file == nil {
		return len(line), nil
	}
	if fi, err := l.file.Stat(); err != nil || fi.Size()+int64(len(line)) > maxSize {
		return len(line), nil
	}
	return l.file.Write(line)
}
