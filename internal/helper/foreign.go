package helper

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"time"

	"github.com/docker/docker-credential-helpers/client"
	"github.com/docker/docker-credential-helpers/credentials"

	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/config"
	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/registry"
	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/safetext"
)

// As credsStore Docker asks us for every host. Those that are not ECR go on to the helper that was
// there before us, which the file's creds_store names.

// forwarded marks the environment of the helper that we ask. Should it lead back to us (a wrapper,
// a link), we do not ask on: the answer is then what it is without a creds_store.
const forwarded = "ECR_OIDC_FORWARDED"

// forwarding is how long the other helper may take: less than a whole get, so that it ends before
// we do and is named.
const forwarding = 25 * time.Second

// other is the creds_store.
type other struct {
	name    string
	ask     client.ProgramFunc
	secrets []string // of the environment, which it has too
}

// failed names the creds_store in an error of its client, without the secrets that it has. "not found" is an
// answer and stays as it is.
func (o *other) failed(err error, secrets ...string) error {
	if err == nil || credentials.IsErrCredentialsNotFound(err) {
		return err
	}
	said := safetext.Redact(err.Error(), append(secrets, o.secrets...)...)
	return fmt.Errorf("asking creds_store %s: %s", o.name, safetext.Sanitize(said))
}

// other finds the creds_store; nil when there is none. What cancel cancels is the child.
func (h Helper) other(ctx context.Context) (o *other, cancel func(), err error) {
	ctx, cancel = context.WithTimeout(ctx, forwarding)
	path, err := config.FilePath(h.Env, "")
	if err != nil { // no place for a file
		return nil, cancel, nil
	}
	name, err := config.CredsStore(path)
	if err != nil || name == "" || h.Env.Get(forwarded) != "" {
		return nil, cancel, err
	}
	o = &other{name: name, secrets: h.Env.Secrets()}
	program, err := exec.LookPath("docker-credential-" + name)
	if err == nil && IsSelf(program) {
		err = errors.New("it is this program by another name")
	}
	if err != nil {
		return nil, cancel, o.failed(err)
	}
	o.ask = command(ctx, program)
	return o, cancel, nil
}

func command(ctx context.Context, path string) client.ProgramFunc {
	return func(args ...string) client.Program {
		cmd := exec.CommandContext(ctx, path, args...)
		cmd.Env = append(os.Environ(), forwarded+"=1")
		cmd.Stderr = os.Stderr // what it has to say is for the person, as it was before us
		cmd.WaitDelay = time.Second
		return program{cmd}
	}
}

// IsSelf says whether path is the program that is running, by whatever name.
func IsSelf(path string) bool {
	own, err := os.Executable()
	if err != nil {
		return false
	}
	a, errA := os.Stat(own)
	b, errB := os.Stat(path)
	return errA == nil && errB == nil && os.SameFile(a, b)
}

// program is client.Shell with a context.
type program struct{ cmd *exec.Cmd }

func (p program) Output() ([]byte, error) { return p.cmd.Output() }
func (p program) Input(in io.Reader)      { p.cmd.Stdin = in }

func (h Helper) foreign(ctx context.Context, host string) (username, secret string, err error) {
	o, cancel, err := h.other(ctx)
	defer cancel()
	if err != nil {
		return "", "", err
	}
	if o == nil {
		return "", "", credentials.NewErrCredentialsNotFound()
	}
	c, err := client.Get(o.ask, host)
	if err != nil {
		return "", "", o.failed(err)
	}
	return c.Username, c.Secret, nil
}

func (h Helper) storeForeign(ctx context.Context, c *credentials.Credentials) error {
	o, cancel, err := h.other(ctx)
	defer cancel()
	if err == nil && o == nil {
		err = errors.New("no creds_store is set for other hosts")
	}
	if err != nil {
		return fmt.Errorf("storing a login: %q is not an ECR registry: %w", safetext.Sanitize(c.ServerURL), err)
	}
	return o.failed(client.Store(o.ask, c), c.Secret)
}

func (h Helper) eraseForeign(ctx context.Context, host string) error {
	o, cancel, err := h.other(ctx)
	defer cancel()
	if err != nil || o == nil {
		return err
	}
	return o.failed(client.Erase(o.ask, host))
}

func (h Helper) listForeign(ctx context.Context) (map[string]string, error) {
	hosts := map[string]string{}
	o, cancel, err := h.other(ctx)
	defer cancel()
	if err != nil || o == nil {
		return hosts, err
	}
	all, err := client.List(o.ask)
	if err != nil {
		return nil, o.failed(err)
	}
	for host, username := range all {
		if _, ok := registry.Parse(host); !ok {
			hosts[host] = username
		}
	}
	return hosts, nil
}
