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

// systemChecks checks that Docker finds this helper on PATH, and Docker's version.
func systemChecks() (checks []Check) {
	looks := []func() Check{onPath}
	if runtime.GOOS == "darwin" {
		looks = append(looks, onApplicationsPath)
	}
	for _, look := range looks {
		c, err := probe("looking along it", func() (Check, error) { return look(), nil })
		if err != nil {
			c = Check{Name: "PATH", State: Note, Text: err.Error(),
				Next: "take the folder that does not answer off it"}
		}
		checks = append(checks, c)
	}
	version, _ := probe("asking Docker",
		func() (string, error) { return run("docker", "--version"), nil })
	if c, ok := dockerVersion(version); ok {
		checks = append(checks, c)
	}
	return checks
}

// onPath checks that Docker, started from here, finds this program.
func onPath() Check {
	path, err := exec.LookPath("docker-credential-" + name)
	if err != nil {
		return Check{Name: "PATH", State: Note,
			Text: "docker-credential-" + name +
				" is not on it, so Docker started from here does not find it",
			Next: "put its folder on PATH: " + folder()}
	}
	return Check{Name: "PATH", State: OK, Text: "Docker started from here finds " + path}
}

// onApplicationsPath is onPath for what is started from Finder or the Dock, such as Docker Desktop:
// those have launchd's PATH and not the shell's.
func onApplicationsPath() Check {
	dirs := run("launchctl", "getenv", "PATH")
	if dirs == "" {
		dirs = "/usr/bin:/bin:/usr/sbin:/sbin"
	}
	for _, dir := range strings.Split(dirs, ":") {
		if fi, err := os.Stat(dir + "/docker-credential-" + name); err == nil &&
			fi.Mode().IsRegular() {
			return Check{Name: "PATH", State: OK,
				Text: "applications find " + dir + "/docker-credential-" + name}
		}
	}
	return Check{
		Name: "PATH", State: Note,
		Text: "applications (Docker Desktop, an IDE) do not find docker-credential-" + name +
			" on theirs: " + shown(dirs),
		Next: "put it, or a link to it, into /usr/local/bin, and let launchd know of that " +
			"folder: sudo launchctl config user path /usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin",
	}
}

// folder returns the folder of this program.
func folder() string {
	path, err := os.Executable()
	if err != nil {
		return "where it lies"
	}
	return filepath.Dir(path)
}

// dockerVersion describes what this Docker does with the line of a refusal: since 28.5 (push) and
// 29.0 (pull) its error contains it. Podman's "docker" prints another name.
func dockerVersion(output string) (Check, bool) {
	m := regexp.MustCompile(`^Docker version (\d+)\.(\d+)(\.\d+)?`).FindStringSubmatch(output)
	if m == nil {
		return Check{}, false
	}
	major, _ := strconv.Atoi(m[1])
	minor, _ := strconv.Atoi(m[2])
	number := m[1] + "." + m[2] + m[3]
	refusal := `hides a refusal in its own error; look above "no basic auth credentials"`
	switch {
	case major >= 29:
		refusal = "shows a refusal in its own error"
	case major == 28 && minor >= 5:
		refusal = "shows a refusal in its own error of a push; of a pull, " +
			`look above "no basic auth credentials"`
	}
	return Check{Name: "docker", State: OK, Text: "version " + number + ", which " + refusal}, true
}

// run returns what a command prints on stdout, without the space around it. It returns "" when the
// command is not there, fails, prints more than a few lines or is not done within 3 seconds. The
// command's environment has no secret.
func run(command string, args ...string) string {
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Second)
	defer cancel()
	var stdout fewLines
	cmd := exec.CommandContext(ctx, command, args...)
	cmd.Stdout, cmd.Env, cmd.WaitDelay = &stdout, minimalEnv(), time.Second
	if err := cmd.Run(); err != nil {
		return ""
	}
	return strings.TrimSpace(string(stdout))
}

// minimalEnv returns the variables that docker and launchctl need: the search path, the home folder
// and, on Windows, the system folder and the extensions of programs. The job's tokens and keys are
// not among them.
func minimalEnv() []string {
	names := []string{"PATH", "HOME"}
	if runtime.GOOS == "windows" {
		names = []string{"PATH", "USERPROFILE", "SystemRoot", "PATHEXT"}
	}
	env := []string{} // nil would be the whole environment
	for _, name := range names {
		if value, ok := os.LookupEnv(name); ok {
			env = append(env, name+"="+value)
		}
	}
	return env
}

// fewLines keeps what is written to it, up to 16 KiB, and fails beyond that.
type fewLines []byte

func (b *fewLines) Write(p []byte) (int, error) {
	if len(*b)+len(p) > 16<<10 {
		return 0, errors.New("too much output")
	}
	*b = append(*b, p...)
	return len(p), nil
}
