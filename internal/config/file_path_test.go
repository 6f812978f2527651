package config

import (
	"path/filepath"
	"testing"
)

// TestFilePath checks which setting locates the file.
func TestFilePath(t *testing.T) {
	const home, userProfile = "HOME=/home/jane", "USERPROFILE=/home/jane"
	const docker = "DOCKER_CONFIG=/docker"
	for _, tt := range []struct {
		name, dockerDir string
		env             []string
		want            string
	}{
		{"home directory", "", []string{home, userProfile}, "/home/jane/.docker/ecr-oidc.yaml"},
		{"DOCKER_CONFIG", "", []string{home, userProfile, docker}, "/docker/ecr-oidc.yaml"},
		{"argument", "/arg", []string{home, userProfile, docker}, "/arg/ecr-oidc.yaml"},
		{"ECR_OIDC_CONFIG", "/arg", []string{home, "ECR_OIDC_CONFIG=/own.yaml"}, "/own.yaml"},
	} {
		got, err := FilePath(testEnv(tt.env...), tt.dockerDir)
		if err != nil || filepath.ToSlash(got) != tt.want {
			t.Errorf("%s: %q, %v, want %s", tt.name, got, err, tt.want)
		}
	}
	if got, err := FilePath(testEnv(), ""); err == nil && !filepath.IsAbs(got) {
		t.Errorf("without a variable: %q", got)
	}
}
