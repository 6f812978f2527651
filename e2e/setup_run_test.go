package e2e

import (
	"testing"

	"github.com/ecr-oidc/docker-credential-ecr-oidc/e2e/emulator"
)

// An example runs one directory of examples/ without changes. The AWS commands of its README create the
// roles, with the policies in the directory. The table of its README contains the secrets and variables
// of the CI. The steps of its jobs run with the built binary, and with the real host names of AWS and of
// the CI.
type example struct {
	t        *testing.T
	dir      string
	server   *emulator.Server
	readme   string
	settings map[string]string        // "secret NAME", "variable NAME"
	roles    map[string]emulator.Role // by ARN
}

const examples = "../examples"
