package e2e

import (
	"os/exec"
	"testing"
)

func drop(*testing.T, *job) func(*exec.Cmd) { return func(*exec.Cmd) {} }

func give(*job, string) {}

func spoilUnix(*victim, string) map[string]func() { return nil }
