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

// If this helper is Docker's credsStore, Docker calls it for every host. Commands for hosts that are
// not ECR are delegated to the credential helper that creds_store in ecr-oidc.yaml names.

// delegatedVariable is set in the environment of the delegate. If the delegate calls this helper
// again, for example because it is a wrapper, this helper does not delegate a second time.
const delegatedVariable = "ECR_OIDC_DELEGATED"

// delegateTimeout is how long the delegate may take. It is shorter than a whole get, so that an
// error can still name the delegate.
const delegateTimeout = 25 * time.Second

// delegate is the credential helper that creds_store names.
type delegate struct {
	name       string
	newProgram client.ProgramFunc
	secrets    []string // of the environment, which the delegate inherits
}

// wrap adds the delegate's name to an error and redacts its secrets. It returns nil and the
// protocol's "not found" unchanged.
func (d *delegate) wrap(err error, secrets ...string) error {
	if err == nil || credentials.IsErrCredentialsNotFound(err) {
		return err
	}
	text := safetext.Redact(err.Error(), append(secrets, d.secrets...)...)
	return fmt.Errorf("calling creds_store %s: %s", d.name, safetext.Sanitize(text))
}

// findDelegate returns the delegate, or nil if there is none. The caller must call cancel, which
// ends the delegate's process, even after an error.
func (h Helper) findDelegate(ctx context.Context) (d *delegate, cancel func(), err error) {
	ctx, cancel = context.WithTimeout(ctx, delegateTimeout)
	path, err := config.FilePath(h.Env, "")
	if err != nil { // there is no home directory, so there is no ecr-oidc.yaml
		return nil, cancel, nil
	}
	name, err := config.CredsStore(path)
	if err != nil || name == "" || h.Env.Get(delegatedVariable) != "" {
		return nil, cancel, err
	}
	d = &delegate{name: name, secrets: h.Env.Secrets()}
	executable, err := exec.LookPath("docker-credential-" + name)
	if err == nil && IsSelf(executable) {
		err = errors.New("it is this program under another name")
	}
	if err != nil {
		return nil, cancel, d.wrap(err)
	}
	d.newProgram = programFunc(ctx, executable)
	return d, cancel, nil
}

// programFunc returns a function that prepares a call of the credential helper at path. Its stderr is
// this process's stderr, as if Docker had called it.
func programFunc(ctx context.Context, path string) client.ProgramFunc {
	return func(args ...string) client.Program {
		cmd := exec.CommandContext(ctx, path, args...)
		cmd.Env = append(os.Environ(), delegatedVariable+"=1")
		cmd.Stderr = os.Stderr
		cmd.WaitDelay = time.Second
		return command{cmd}
	}
}

// IsSelf reports whether the file at path is the program of this process, under any name.
func IsSelf(path string) bool {
	own, err := os.Executable()
	if err != nil {
		return false
	}
	a, errA := os.Stat(own)
	b, errB := os.Stat(path)
	return errA == nil && errB == nil && os.SameFile(a, b)
}

// command is client.Shell with a context.
type command struct{ cmd *exec.Cmd }

func (c command) Output() ([]byte, error) { return c.cmd.Output() }
func (c command) Input(in io.Reader)      { c.cmd.Stdin = in }

func (h Helper) delegateGet(ctx context.Context, host string) (username, secret string, err error) {
	d, cancel, err := h.findDelegate(ctx)
	defer cancel()
	if err != nil {
		return "", "", err
	}
	if d == nil {
		return "", "", credentials.NewErrCredentialsNotFound()
	}
	c, err := client.Get(d.newProgram, host)
	if err != nil {
		return "", "", d.wrap(err)
	}
	return c.Username, c.Secret, nil
}

func (h Helper) delegateStore(ctx context.Context, c *credentials.Credentials) error {
	d, cancel, err := h.findDelegate(ctx)
	defer cancel()
	if err == nil && d == nil {
		err = errors.New("no creds_store is set for other hosts")
	}
	if err != nil {
		return fmt.Errorf("storing a login: %q is not an ECR registry: %w",
			safetext.Sanitize(c.ServerURL), err)
	}
	return d.wrap(client.Store(d.newProgram, c), c.Secret)
}

func (h Helper) delegateErase(ctx context.Context, host string) error {
	d, cancel, err := h.findDelegate(ctx)
	defer cancel()
	if err != nil || d == nil {
		return err
	}
	return d.wrap(client.Erase(d.newProgram, host))
}

// delegateList returns the delegate's usernames by host, without ECR hosts.
func (h Helper) delegateList(ctx context.Context) (map[string]string, error) {
	hosts := map[string]string{}
	d, cancel, err := h.findDelegate(ctx)
	defer cancel()
	if err != nil || d == nil {
		return hosts, err
	}
	all, err := client.List(d.newProgram)
	if err != nil {
		return nil, d.wrap(err)
	}
	for host, username := range all {
		if _, ok := registry.Parse(host); !ok {
			hosts[host] = username
		}
	}
	return hosts, nil
}
