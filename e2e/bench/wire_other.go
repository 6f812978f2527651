//go:build !linux

package main

import (
	"context"
	"fmt"
	"runtime"
	"time"

	"github.com/ecr-oidc/docker-credential-ecr-oidc/e2e/emulator"
)

func enter(context.Context, string) error {
	return fmt.Errorf("%w: it is made of Linux's namespaces, and this is %s; docker run --privileged with Go's image has them", errNoWire, runtime.GOOS)
}

func layWire(time.Duration, string) (*emulator.Server, error) { return nil, errNoWire }
