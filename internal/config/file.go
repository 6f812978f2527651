package config

import (
	"errors"
	"fmt"
	"io/fs"
	"os/user"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"

	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/atomicfile"
	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/token"
)

// File is our configuration file, read and checked. The zero value is a file that says nothing.
type File struct {
	Default    Entry
	Accounts   map[string]Account // by account number
	Public     Entry
	Allowed    map[string]bool // nil allows every account
	CredsStore string          // the helper for hosts that are not ECR
}

// Account is what the file says of one account.
type Account struct {
	Entry
	Regions map[string]Entry
}

// Entry holds the settings of one place in the file; see keys for their names.
type Entry map[string]Value

// Value is a setting as the file has it.
type Value struct {
	Texts []string // one, or a role's chain
	From  string   // the variable, or "PATH:LINE"
}

func (v Value) set() bool { return len(v.Texts) > 0 }

// MaxSize is the limit of the file's size in bytes: about 3,000 accounts, which take 50 ms to read.
const MaxSize = 256 << 10

// FilePath returns where our file is: at ECR_OIDC_CONFIG, or ecr-oidc.yaml beside Docker's
// config.json, which is in dockerDir or, when that is empty, in DOCKER_CONFIG or ~/.docker. It is
// "" when there is no place for one.
func FilePath(env token.Env, dockerDir string) (string, error) {
	if path := env.Get("ECR_OIDC_CONFIG"); path != "" {
		return path, nil
	}
	if dockerDir == "" {
		dockerDir = env.Get("DOCKER_CONFIG")
	}
	if dockerDir == "" {
		home := env.Get("HOME")
		if runtime.GOOS == "windows" {
			home = env.Get("USERPROFILE")
		}
		if home == "" { // a service without HOME: Docker asks the user database then, and so finds its own file
			u, err := user.Current()
			if err != nil || u.HomeDir == "" {
				return "", errors.New("finding ecr-oidc.yaml: neither ECR_OIDC_CONFIG nor " +
					"DOCKER_CONFIG nor HOME is set")
			}
			home = u.HomeDir
		}
		dockerDir = filepath.Join(home, ".docker")
	}
	return filepath.Join(dockerDir, "ecr-oidc.yaml"), nil
}

// readFile reads and checks the file. One that is not there says nothing, unless ECR_OIDC_CONFIG names it.
func readFile(env token.Env) (File, error) {
	path, err := FilePath(env, "")
	if err != nil { // a job without HOME has no file, and needs none
		return File{}, nil
	}
	b, err := readAll(path)
	switch {
	case errors.Is(err, fs.ErrNotExist) && env.Get("ECR_OIDC_CONFIG") == "":
		return File{}, nil
	case errors.Is(err, fs.ErrNotExist):
		return File{}, fmt.Errorf("reading ECR_OIDC_CONFIG: there is no file %s", path)
	case err != nil:
		return File{}, fmt.Errorf("reading %s: %w", path, unpath(err))
	}
	return parse(path, b)
}

func readAll(path string) ([]byte, error) {
	b, _, err := atomicfile.Read(path, MaxSize)
	if errors.Is(err, syscall.ENOTDIR) { // HOME=/dev/null, as some services have it
		return nil, fs.ErrNotExist
	}
	return b, err
}

// unpath drops the path from an error that names it again.
func unpath(err error) error {
	var p *fs.PathError
	if errors.As(err, &p) {
		return p.Err
	}
	return err
}

// keys are what an entry may have.
var keys = []string{
	"role", "source", "audience", "token_file", "profile",
	"session_name", "session_duration", "session_policy", "external_id",
}

// deepest bounds how deep a file may nest. Ours nests five levels; the parser's time grows with the depth.
const deepest = 32

// nested says whether a file nests so deep that it is not ours. It counts brackets and list dashes without
// understanding them, so it may only refuse, and only what nobody would write.
func nested(b []byte) bool {
	depth := 0
	for line := range strings.Lines(string(b)) {
		if strings.Count(line, "- ") > deepest && strings.HasPrefix(strings.TrimLeft(line, " "), "- -") {
			return true
		}
		if i := strings.Index(line, "#"); i == 0 || i > 0 && (line[i-1] == ' ' || line[i-1] == '\t') {
			line = line[:i] // a comment
		}
		for _, c := range line {
			switch c {
			case '[', '{':
				depth++
			case ']', '}':
				depth = max(depth-1, 0)
			}
			if depth > deepest {
				return true
			}
		}
	}
	return false
}
