package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/validate"

	"github.com/ecr-oidc/docker-credential-ecr-oidc/e2e/emulator"
)

const image = host + "/app:v1"

func (s *stage) push() error {
	s.say("\n2. A push, by the library behind crane. Like Docker it reads config.json and asks the helper.\n\n$ crane push app.tar %s", image)
	img, err := random.Image(64<<10, 2)
	if err != nil {
		return err
	}
	digest, err := img.Digest()
	if err != nil {
		return err
	}
	ref, err := name.ParseReference(image)
	if err != nil {
		return err
	}
	if err := remote.Write(ref, img, s.client()...); err != nil {
		return fmt.Errorf("pushing: %w", err)
	}
	s.calls()
	s.say("pushed %s", digest)
	return nil
}

func (s *stage) pull() error {
	s.say("\n3. A pull. The helper answers from its sealed cache: no call to GitHub, STS or ECR.\n\n$ crane pull %s", image)
	ref, err := name.ParseReference(image)
	if err != nil {
		return err
	}
	img, err := remote.Image(ref, s.client()...)
	if err != nil {
		return fmt.Errorf("pulling: %w", err)
	}
	if err := validate.Image(img); err != nil { // reads every blob, and checks each digest
		return fmt.Errorf("pulling: %w", err)
	}
	digest, err := img.Digest()
	if err != nil {
		return err
	}
	if s.server.Count("oidc")+s.server.Count("sts")+s.server.Count("ecr") > 0 {
		return errors.New("the pull asked for a new password")
	}
	s.calls()
	s.say("pulled %s", digest)
	return nil
}

// client is what a registry client does by default, but for the way to the emulator's registry.
func (s *stage) client() []remote.Option {
	return []remote.Option{remote.WithAuthFromKeychain(authn.DefaultKeychain), remote.WithTransport(s.server.Transport())}
}

// calls tells what has reached the emulator since it was last told, each with its time; the registry's in one line.
func (s *stage) calls() {
	services := map[string]string{"oidc": "GitHub", "sts": "STS", "ecr": "ECR"}
	requests, took := 0, time.Duration(0)
	for _, c := range s.server.Calls() {
		if c.Service == "registry" {
			requests, took = requests+1, took+c.Duration
		} else if service, ok := services[c.Service]; ok {
			s.say("  %6.2f ms  %-8s  %d  %s", milliseconds(c.Duration), service, c.Status, strings.TrimRight(c.Op+" "+c.Detail, "/ "))
		}
	}
	if requests > 0 {
		s.say("  %6.2f ms  registry  %d requests", milliseconds(took), requests)
	}
	s.server.ResetCalls()
}

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

func (s *stage) stored() error {
	s.say("\n4. What lies on the disk afterwards: no password, no key.\n")
	password, err := s.password()
	if err != nil {
		return err
	}
	err = filepath.WalkDir(s.dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || filepath.Dir(path) == filepath.Join(s.dir, "bin") {
			return err
		}
		b, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		if bytes.Contains(b, []byte(password)) || bytes.Contains(b, []byte("ASIA")) {
			return fmt.Errorf("%s has a secret in it", path)
		}
		rel, err := filepath.Rel(s.dir, path)
		if err != nil {
			return err
		}
		if len(d.Name()) > 40 {
			rel = strings.Replace(rel, d.Name()[8:60], "...", 1)
		}
		what := map[string]string{".sealed": "sealed to this job's own secret", ".lock": "by which processes take turns", ".json": "credHelpers alone", ".pem": "the emulated AWS's CA"}
		s.say("  %-42s %5d bytes, %s", rel, len(b), what[filepath.Ext(path)])
		return nil
	})
	return err
}

// password asks the helper as Docker does.
func (s *stage) password() (string, error) {
	cmd := exec.Command(helper, "get")
	cmd.Stdin = strings.NewReader(host)
	b, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("get: %w: %s", err, b)
	}
	var answer struct{ Secret string }
	if err := json.Unmarshal(b, &answer); err != nil {
		return "", err
	}
	return answer.Secret, nil
}

func (s *stage) refusal() error {
	s.say("\n5. The same for a pull request, whose jobs the role's trust policy does not admit.\n")
	if err := s.enter(s.server.GitHubRealHost(emulator.GitHubJob{Event: "pull_request"})); err != nil {
		return err
	}
	s.server.ResetCalls()
	s.say("$ echo %s | %s get", host, helper)
	cmd := exec.Command(helper, "get")
	cmd.Stdin = strings.NewReader(host)
	text, err := cmd.Output()
	if err == nil {
		return errors.New("the pull request got a password")
	}
	s.say("%s", strings.TrimSpace(string(text)))
	s.calls()
	s.say("The policy admits \"repo:acme/app:ref:refs/heads/main\"; the line says what the job is instead.")
	return nil
}
