//go:build !linux

package main

import (
	"context"
	"fmt"
	"runtime"
	"time"

	"github.com/ecr-oidc/docker-credential-ecr-oidc/e2e/emulator"
)

func runInNamespaces(context.Context, string) error {
	return fmt.Errorf("%w: it needs Linux, and this is %s; use docker run --privileged with Go's image",
		errNoNetwork, runtime.GOOS)
}

func startNetwork(time.Duration, string) (*emulator.Server, error) { return nil, errNoNetwork }
