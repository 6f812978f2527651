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

// File is the content of the configuration file, ecr-oidc.yaml. The zero value is an empty file.
type File struct {
	Default    Entry
	Accounts   map[string]Account // by account number
	Public     Entry
	Allowed    map[string]bool // account numbers; nil if every account is allowed
	CredsStore string          // the helper for hosts that are not ECR; "" for none
}

// Account contains the settings for one account.
type Account struct {
	Entry
	Regions map[string]Entry
}

// Entry contains settings by key. entryKeys lists the keys.
type Entry map[string]Value

// Value is the value of a setting.
type Value struct {
	Texts []string // a role chain; exactly one text for every other key
	From  string   // the variable, or "PATH:LINE"
}

func (v Value) isSet() bool { return len(v.Texts) > 0 }

// entryKeys lists the keys of an Entry, except for "regions".
var entryKeys = []string{
	"role", "source", "audience", "token_file", "profile",
	"session_name", "session_duration", "session_policy", "external_id",
}

// MaxSize is the maximum size of the file in bytes. A file of that size has about 3,000 accounts and
// takes 50 ms to read.
const MaxSize = 256 << 10

// FilePath returns the path of the configuration file: ECR_OIDC_CONFIG, or ecr-oidc.yaml next to
// Docker's config.json. The directory of config.json is dockerDir or, if that is "", DOCKER_CONFIG or
// ~/.docker. The error means that none of these is known.
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
		if home == "" { // as in a service; Docker then also reads the user database
			u, err := user.Current()
			if err != nil || u.HomeDir == "" {
				return "", errors.New("finding ecr-oidc.yaml: " +
					"neither ECR_OIDC_CONFIG nor DOCKER_CONFIG nor HOME is set")
			}
			home = u.HomeDir
		}
		dockerDir = filepath.Join(home, ".docker")
	}
	return filepath.Join(dockerDir, "ecr-oidc.yaml"), nil
}

// readConfigured reads and validates the configuration file. A missing file is an error only if
// ECR_OIDC_CONFIG names it.
func readConfigured(env token.Env) (File, error) {
	path, err := FilePath(env, "")
	if err != nil { // a process without HOME needs no file
		return File{}, nil
	}
	b, err := readBytes(path)
	switch {
	case errors.Is(err, fs.ErrNotExist) && env.Get("ECR_OIDC_CONFIG") == "":
		return File{}, nil
	case errors.Is(err, fs.ErrNotExist):
		return File{}, fmt.Errorf("reading ECR_OIDC_CONFIG: there is no file %s", path)
	case err != nil:
		return File{}, fmt.Errorf("reading %s: %w", path, withoutPath(err))
	}
	return parse(path, b)
}

// readOptional reads and validates the file at path. It returns an empty File if the file does not
// exist.
func readOptional(path string) (File, error) {
	b, err := readBytes(path)
	if errors.Is(err, fs.ErrNotExist) {
		return File{}, nil
	}
	if err != nil {
		return File{}, fmt.Errorf("reading %s: %w", path, withoutPath(err))
	}
	return parse(path, b)
}

// readBytes returns the text of the file, which may have at most MaxSize bytes.
func readBytes(path string) ([]byte, error) {
	b, _, err := atomicfile.Read(path, MaxSize)
	if errors.Is(err, syscall.ENOTDIR) { // some services set HOME=/dev/null
		return nil, fs.ErrNotExist
	}
	return b, err
}

// withoutPath returns the cause of a *fs.PathError, for a message that already contains the path.
func withoutPath(err error) error {
	var p *fs.PathError
	if errors.As(err, &p) {
		return p.Err
	}
	return err
}

// maxDepth is the maximum nesting depth of the file. A valid file has five levels. The limit exists
// because the parser's time grows with the depth.
const maxDepth = 32

// isTooDeep reports whether the file is nested more than maxDepth levels deep. It counts brackets and
// list dashes without parsing the text, so the count is approximate. It may reject valid YAML,
// but it rejects no plausible configuration.
func isTooDeep(b []byte) bool {
	depth := 0
	for line := range strings.Lines(string(b)) {
		isList := strings.HasPrefix(strings.TrimLeft(line, " "), "- -")
		if isList && strings.Count(line, "- ") > maxDepth {
			return true
		}
		i := strings.Index(line, "#")
		if i == 0 || i > 0 && (line[i-1] == ' ' || line[i-1] == '\t') {
			line = line[:i] // without the comment
		}
		for _, c := range line {
			switch c {
			case '[', '{':
				depth++
			case ']', '}':
				depth = max(depth-1, 0)
			}
			if depth > maxDepth {
				return true
			}
		}
	}
	return false
}
