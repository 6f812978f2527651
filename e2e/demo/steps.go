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

// check checks before the build that the job may push.
func (d *demo) check() error {
	d.printf("\n2. Check before the build that this job may push. The login is cached.\n")
	d.server.ResetCalls()
	text, err := d.runCheck("--push", host+"/app")
	if err != nil {
		return fmt.Errorf("check: %w\n%s", err, text)
	}
	return nil
}

// runCheck runs check with these arguments, and prints the command, its output and the calls.
func (d *demo) runCheck(args ...string) (output string, err error) {
	d.printf("$ %s check %s", helper, strings.Join(args, " "))
	text, err := exec.Command(helper, append([]string{"check"}, args...)...).CombinedOutput()
	output = strings.TrimSpace(string(text))
	d.printf("%s", output)
	d.printCalls()
	return output, err
}

func (d *demo) push() error {
	d.printf("\n3. Push an image with crane's library. Like Docker, it calls the helper, which reads its cache.\n")
	d.printf("$ crane push app.tar %s", image)
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
	if err := remote.Write(ref, img, d.remoteOptions()...); err != nil {
		return fmt.Errorf("pushing: %w", err)
	}
	if err := d.noLogin(); err != nil {
		return err
	}
	d.printCalls()
	d.printf("pushed %s", digest)
	return nil
}

func (d *demo) pull() error {
	d.printf("\n4. Pull it. The helper reads its encrypted cache and calls neither GitHub, STS nor ECR.\n")
	d.printf("$ crane pull %s", image)
	ref, err := name.ParseReference(image)
	if err != nil {
		return err
	}
	img, err := remote.Image(ref, d.remoteOptions()...)
	if err != nil {
		return fmt.Errorf("pulling: %w", err)
	}
	if err := validate.Image(img); err != nil { // reads every blob and checks its digest
		return fmt.Errorf("pulling: %w", err)
	}
	digest, err := img.Digest()
	if err != nil {
		return err
	}
	if err := d.noLogin(); err != nil {
		return err
	}
	d.printCalls()
	d.printf("pulled %s", digest)
	return nil
}

// noLogin returns an error if the helper has requested a password since the calls were last deleted.
func (d *demo) noLogin() error {
	if d.server.Count("oidc")+d.server.Count("sts")+d.server.Count("ecr") > 0 {
		return errors.New("the helper requested another password")
	}
	return nil
}

// remoteOptions are the defaults of a registry client, with a transport to the emulator.
func (d *demo) remoteOptions() []remote.Option {
	return []remote.Option{remote.WithAuthFromKeychain(authn.DefaultKeychain),
		remote.WithTransport(d.server.Transport())}
}

// printCalls prints and deletes the calls recorded so far, each with its duration. It prints one
// line for all calls to the registry.
func (d *demo) printCalls() {
	services := map[string]string{"oidc": "GitHub", "sts": "STS", "ecr": "ECR"}
	requests, took := 0, time.Duration(0)
	for _, c := range d.server.Calls() {
		if c.Service == "registry" {
			requests, took = requests+1, took+c.Duration
		} else if service, ok := services[c.Service]; ok {
			operation := strings.TrimRight(c.Op+" "+c.Detail, "/ ")
			d.printf("  %6.2f ms  %-8s  %d  %s", milliseconds(c.Duration), service, c.Status, operation)
		}
	}
	if requests > 0 {
		d.printf("  %6.2f ms  registry  %d requests", milliseconds(took), requests)
	}
	d.server.ResetCalls()
}

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// descriptions describe the files by extension.
var descriptions = map[string]string{
	".enc":  "encrypted with a secret of this job",
	".lock": "locks between processes",
	".json": "credHelpers only",
	".pem":  "the emulator's CA",
}

// files prints the files that the job wrote, and fails if one contains the password or an access
// key.
func (d *demo) files() error {
	d.printf("\n5. List the files on disk. None contains the password or an AWS key in plain text.\n")
	password, err := d.password()
	if err != nil {
		return err
	}
	err = filepath.WalkDir(d.dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || filepath.Dir(path) == filepath.Join(d.dir, "bin") {
			return err
		}
		b, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		if bytes.Contains(b, []byte(password)) || bytes.Contains(b, []byte("ASIA")) {
			return fmt.Errorf("%s contains a secret", path)
		}
		rel, err := filepath.Rel(d.dir, path)
		if err != nil {
			return err
		}
		if len(entry.Name()) > 40 {
			rel = strings.Replace(rel, entry.Name()[8:60], "...", 1)
		}
		d.printf("  %-42s %5d bytes, %s", rel, len(b), descriptions[filepath.Ext(path)])
		return nil
	})
	return err
}

// password gets the password from the helper, as Docker does.
func (d *demo) password() (string, error) {
	cmd := exec.Command(helper, "get")
	cmd.Stdin = strings.NewReader(host)
	b, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("get: %w: %s", err, b)
	}
	var login struct{ Secret string }
	if err := json.Unmarshal(b, &login); err != nil {
		return "", err
	}
	return login.Secret, nil
}

// pullRequest runs a job that the role's trust policy does not allow.
func (d *demo) pullRequest() error {
	d.printf("\n6. Check in a job of a pull request, which the role's trust policy does not allow.\n")
	if err := d.setJob(d.server.GitHubRealHost(emulator.GitHubJob{Event: "pull_request"})); err != nil {
		return err
	}
	d.server.ResetCalls()
	_, err := d.runCheck(host)
	var exit *exec.ExitError
	if !errors.As(err, &exit) {
		return fmt.Errorf("check in the job of the pull request: %v, want a failure", err)
	}
	d.printf("exit code %d: the job fails here, and not at the push after the build.", exit.ExitCode())
	d.printf("The trust policy requires the subject \"repo:acme/app:ref:refs/heads/main\". " +
		"The error names the job's subject.")
	return nil
}
