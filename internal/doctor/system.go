package doctor

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"time"
)

// systemChecks checks whether Docker finds this helper on PATH, and Docker's version.
func systemChecks() (checks []Check) {
	searches := []func() Check{checkPath}
	if runtime.GOOS == "darwin" {
		searches = append(searches, checkApplicationsPath)
	}
	for _, search := range searches {
		c, err := probe("searching PATH", func() (Check, error) { return search(), nil })
		if err != nil {
			c = Check{Name: "PATH", State: Note, Text: err.Error(),
				Advice: "remove the directory that does not respond from PATH"}
		}
		checks = append(checks, c)
	}
	version, _ := probe("running docker --version",
		func() (string, error) { return commandOutput("docker", "--version"), nil })
	if c, ok := checkDockerVersion(version); ok {
		checks = append(checks, c)
	}
	return checks
}

// checkPath checks whether a Docker CLI that this process starts finds this helper on PATH.
func checkPath() Check {
	path, err := exec.LookPath("docker-credential-" + helperName)
	if err != nil {
		return Check{Name: "PATH", State: Wrong,
			Text: "docker-credential-" + helperName + " is not on PATH; a Docker CLI that is " +
				"started from here does not find it",
			Advice: "add its directory to PATH: " + programDir()}
	}
	return Check{Name: "PATH", State: OK,
		Text: "a Docker CLI that is started from here finds " + path}
}

// checkApplicationsPath is checkPath for applications that are started from Finder or the Dock,
// such as Docker Desktop. They have the PATH of launchd, not of the shell.
func checkApplicationsPath() Check {
	dirs := commandOutput("launchctl", "getenv", "PATH")
	if dirs == "" {
		dirs = "/usr/bin:/bin:/usr/sbin:/sbin"
	}
	for _, dir := range strings.Split(dirs, ":") {
		if fi, err := os.Stat(dir + "/docker-credential-" + helperName); err == nil &&
			fi.Mode().IsRegular() {
			return Check{Name: "PATH", State: OK,
				Text: "applications find " + dir + "/docker-credential-" + helperName}
		}
	}
	return Check{
		Name: "PATH", State: Note,
		Text: "applications (Docker Desktop, an IDE) do not find docker-credential-" + helperName +
			" on their PATH: " + display(dirs),
		Advice: "put it, or a link to it, into /usr/local/bin, and add that directory to their " +
			"PATH: sudo launchctl config user path /usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin",
	}
}

// programDir returns the directory of this program.
func programDir() string {
	path, err := os.Executable()
	if err != nil {
		return "the directory that contains it"
	}
	return filepath.Dir(path)
}

// checkDockerVersion describes what this version of Docker does with the error of a helper. Since
// 28.5 (push) and 29.0 (pull) Docker's own error contains it. It returns false for the output of
// another program, such as podman's "docker".
func checkDockerVersion(output string) (Check, bool) {
	m := regexp.MustCompile(`^Docker version (\d+)\.(\d+)(\.\d+)?`).FindStringSubmatch(output)
	if m == nil {
		return Check{}, false
	}
	major, _ := strconv.Atoi(m[1])
	minor, _ := strconv.Atoi(m[2])
	text := "version " + m[1] + "." + m[2] + m[3]
	const above = `the helper's error is above "no basic auth credentials"`
	switch {
	case major >= 29:
		text += ": Docker's error contains the helper's error"
	case major == 28 && minor >= 5:
		text += ": for a push, Docker's error contains the helper's error; for a pull, " + above
	default:
		text += ": Docker's error does not contain the helper's error; " + above
	}
	return Check{Name: "docker", State: OK, Text: text}, true
}

// commandOutput returns what a command prints on stdout, without surrounding white space. It
// returns "" if the command does not exist, fails, prints more than limitedBuffer accepts, or runs
// longer than 3 seconds. The command's environment contains no secret.
func commandOutput(command string, args ...string) string {
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Second)
	defer cancel()
	var stdout limitedBuffer
	cmd := exec.CommandContext(ctx, command, args...)
	cmd.Stdout, cmd.Env, cmd.WaitDelay = &stdout, minimalEnv(), time.Second
	if err := cmd.Run(); err != nil {
		return ""
	}
	return strings.TrimSpace(string(stdout))
}

// minimalEnv returns the variables that docker and launchctl need: the search path, the home directory
// and, on Windows, the system directory and the extensions of programs. It does not contain the job's
// tokens and keys.
func minimalEnv() []string {
	names := []string{"PATH", "HOME"}
	if runtime.GOOS == "windows" {
		names = []string{"PATH", "USERPROFILE", "SystemRoot", "PATHEXT"}
	}
	env := []string{} // not nil, which would pass the whole environment
	for _, name := range names {
		if value, ok := os.LookupEnv(name); ok {
			env = append(env, name+"="+value)
		}
	}
	return env
}

// limitedBuffer stores what is written to it. A write beyond 16 KiB fails.
type limitedBuffer []byte

func (b *limitedBuffer) Write(p []byte) (int, error) {
	if len(*b)+len(p) > 16<<10 {
		return 0, errors.New("too much output")
	}
	*b = append(*b, p...)
	return len(p), nil
}
