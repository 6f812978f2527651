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
)

// As credsStore Docker asks us for every host. Those that are not ECR go on to the helper that was there before us,
// which the file's creds_store names.

// forwarded marks the environment of the helper that we ask. Should it lead back to us (a wrapper, a link), we do not
// ask on: the answer is then what it is without a creds_store.
const forwarded = "ECR_OIDC_FORWARDED"

// store returns docker-credential-helpers' client for the creds_store; nil when there is none.
func (h Helper) store(ctx context.Context) (client.ProgramFunc, error) {
	c, err := config.Read(h.Env, h.Names)
	if err != nil || c.CredsStore() == "" || h.Env.Get(forwarded) != "" {
		return nil, err
	}
	path, err := exec.LookPath("docker-credential-" + c.CredsStore())
	if err != nil {
		return nil, fmt.Errorf("asking creds_store %s: %w", c.CredsStore(), err)
	}
	if itself(path) {
		return nil, fmt.Errorf("asking creds_store %s: it is this program by another name", c.CredsStore())
	}
	return func(args ...string) client.Program {
		cmd := exec.CommandContext(ctx, path, args...)
		cmd.Env = append(os.Environ(), forwarded+"=1")
		cmd.Stderr = os.Stderr // what it has to say is for the person, as it was before us
		cmd.WaitDelay = time.Second
		return program{cmd}
	}, nil
}

// itself says whether path is the program that is running.
func itself(path string) bool {
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
	store, err := h.store(ctx)
	if err != nil {
		return "", "", err
	}
	if store == nil {
		return "", "", credentials.NewErrCredentialsNotFound()
	}
	c, err := client.Get(store, host)
	if err != nil {
		return "", "", err
	}
	return c.Username, c.Secret, nil
}

func (h Helper) storeForeign(ctx context.Context, c *credentials.Credentials) error {
	store, err := h.store(ctx)
	if err == nil && store == nil {
		err = errors.New("no creds_store is set for other hosts")
	}
	if err != nil {
		return fmt.Errorf("storing a login: %q is not an ECR registry: %w", c.ServerURL, err)
	}
	return client.Store(store, c)
}

func (h Helper) eraseForeign(ctx context.Context, host string) error {
	store, err := h.store(ctx)
	if err != nil || store == nil {
		return err
	}
	return client.Erase(store, host)
}

func (h Helper) listForeign(ctx context.Context) (map[string]string, error) {
	hosts := map[string]string{}
	store, err := h.store(ctx)
	if err != nil || store == nil {
		return hosts, err
	}
	all, err := client.List(store)
	if err != nil {
		return nil, err
	}
	for host, username := range all {
		if _, ok := registry.Parse(host); !ok {
			hosts[host] = username
		}
	}
	return hosts, nil
}
