package main

import (
	"bytes"
	"cmp"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/ecr-oidc/docker-credential-ecr-oidc/e2e/emulator"
)

const (
	otherRegion = "us-east-1"
	otherRole   = "arn:aws:iam::" + emulator.SpokeAccount + ":role/ci"
	subject     = "repo:acme/app:ref:refs/heads/main"
	userID      = "AKIDEXAMPLE" // AWS's example

	firstRegistry         = emulator.Account + ".dkr.ecr." + emulator.Region + ".amazonaws.com"
	secondRegionRegistry  = emulator.Account + ".dkr.ecr." + otherRegion + ".amazonaws.com"
	secondAccountRegistry = emulator.SpokeAccount + ".dkr.ecr." + emulator.Region + ".amazonaws.com"
)

// networkHosts are the host names on the emulated network. Each service has its own name, so that no
// connection serves two of them.
var networkHosts = []string{
	"run-actions-1-azure-eastus.actions.githubusercontent.com",
	"sts." + emulator.Region + ".amazonaws.com", "api.ecr." + emulator.Region + ".amazonaws.com",
	"sts." + otherRegion + ".amazonaws.com", "api.ecr." + otherRegion + ".amazonaws.com",
}

// userSecret is random, so that secret scanners do not report it.
var userSecret = rand.Text()

// startEmulator starts an emulator with the defaults, a role in the second account that trusts the
// same job, and a user that can log in. It writes the files that all jobs share to dir: the CA
// certificate and the peer's token.
func startEmulator(addr, dir string) (*emulator.Server, error) {
	server, err := emulator.Start(emulator.Options{Addr: addr})
	if err != nil {
		return nil, err
	}
	server.AddDefaults()
	server.AddFederatedRole(otherRole, emulator.GitHubIssuer, "sts.amazonaws.com", subject)
	server.AddUser(emulator.User{ARN: "arn:aws:iam::" + emulator.Account + ":user/puller",
		AccessKeyID: userID, SecretAccessKey: userSecret})
	server.Circle(emulator.CircleJob{}) // generates the issuer's key before the measurements
	token := server.Mint(emulator.GitHubIssuer, map[string]any{
		"sub": subject, "aud": "sts.amazonaws.com", "exp": time.Now().Add(12 * time.Hour).Unix(),
	})
	if err := errors.Join(os.WriteFile(filepath.Join(dir, "ca.pem"), server.CAPEM(), 0o600),
		os.WriteFile(filepath.Join(dir, "token"), []byte(token), 0o600)); err != nil {
		server.Close()
		return nil, fmt.Errorf("writing the shared files: %w", err)
	}
	return server, nil
}

// job is a program in the environment of a CI job, with its own home and cache.
type job struct {
	binary string
	temp   string // RUNNER_TEMP; start creates it
	env    []string
}

func (b *bench) job(name string, ci, more map[string]string) job {
	b.jobs++
	home := filepath.Join(b.dir, "job-"+strconv.Itoa(b.jobs))
	j := job{binary: binary(b.dir, name, b.jobs), temp: filepath.Join(home, "temp")}
	all := map[string]string{
		"HOME": home, "USERPROFILE": home, "LOCALAPPDATA": home, "RUNNER_TEMP": j.temp,
		"AWS_CA_BUNDLE": filepath.Join(b.dir, "ca.pem"), "SystemRoot": os.Getenv("SystemRoot"),
	}
	if !b.networked {
		all["HTTPS_PROXY"] = b.server.ProxyURL()
	}
	maps.Copy(all, ci)
	maps.Copy(all, more)
	for _, name := range slices.Sorted(maps.Keys(all)) {
		j.env = append(j.env, name+"="+all[name])
	}
	return j
}

// start creates a job's home, and gets logins that are not measured.
func (j job) start(ctx context.Context, hosts ...string) error {
	if err := os.MkdirAll(j.temp, 0o755); err != nil {
		return fmt.Errorf("creating a job's home: %w", err)
	}
	for _, host := range hosts {
		if _, err := j.get(ctx, host); err != nil {
			return err
		}
	}
	return nil
}

// github returns a job of this program on GitHub Actions. All other jobs except circleci have its
// variables, too.
func (b *bench) github() job {
	return b.job(program, b.server.GitHubRealHost(emulator.GitHubJob{}),
		map[string]string{"ECR_ROLE_TO_ASSUME": emulator.CIRole})
}

// githubRoles returns github with another role in the second account.
func (b *bench) githubRoles() job {
	return b.job(program, b.server.GitHubRealHost(emulator.GitHubJob{}), map[string]string{
		"ECR_ROLE_TO_ASSUME": emulator.CIRole, "ECR_OIDC_ROLE_" + emulator.SpokeAccount: otherRole,
	})
}

// circleci returns a job of this program on CircleCI.
func (b *bench) circleci() job {
	return b.job(program, b.server.Circle(emulator.CircleJob{}),
		map[string]string{"ECR_ROLE_TO_ASSUME": emulator.CircleRole})
}

// keys returns a job of this program with AWS keys, and without a role or a token. It calls only ECR.
func (b *bench) keys() job {
	return b.job(program, b.server.GitHubRealHost(emulator.GitHubJob{NoIDToken: true}), map[string]string{
		"AWS_ACCESS_KEY_ID": userID, "AWS_SECRET_ACCESS_KEY": userSecret,
	})
}

// peerOIDC returns a job of the peer with a token in a file. This favors the peer: it cannot fetch
// the token, so an earlier step of the job has to, which takes time that is not measured. On
// GitHub, the token is valid for five minutes.
func (b *bench) peerOIDC() job {
	return b.job(peer, b.server.GitHubRealHost(emulator.GitHubJob{}), map[string]string{
		"AWS_WEB_IDENTITY_TOKEN_FILE": filepath.Join(b.dir, "token"),
		"AWS_ROLE_ARN":                emulator.CIRole, "AWS_ROLE_SESSION_NAME": "ci",
		"AWS_REGION": emulator.Region,
	})
}

// peerKeys returns a job of the peer, as released or with the same SDK, with a user's keys. The
// peer's cache key contains the access key. Its cache hits if the keys are in the job's
// environment, as a user's keys or those of a session that an earlier step has started. It never
// hits if the peer assumes the role itself.
func (b *bench) peerKeys(name string) job {
	return b.job(name, b.server.GitHubRealHost(emulator.GitHubJob{}), map[string]string{
		"AWS_ACCESS_KEY_ID": userID, "AWS_SECRET_ACCESS_KEY": userSecret, "AWS_REGION": emulator.Region,
	})
}

// empty returns a job of the empty program.
func (b *bench) empty() job {
	return b.job(emptyProgram, b.server.GitHubRealHost(emulator.GitHubJob{}), nil)
}

// login is the output of a helper.
type login struct {
	Username, Secret string
	ended            time.Time // when the process ended, before its output was parsed
}

// get gets a login from a helper, as Docker does.
func (j job) get(ctx context.Context, host string) (l login, err error) {
	text, stderr, err := j.run(ctx, host, j.binary, "get")
	l.ended = time.Now()
	if err != nil {
		return l, fmt.Errorf("running %s: %w: %s", filepath.Base(j.binary), err, cmp.Or(stderr, text))
	}
	if err := json.Unmarshal([]byte(text), &l); err != nil || l.Secret == "" {
		return l, fmt.Errorf("running %s: no login in its output", filepath.Base(j.binary))
	}
	return l, nil
}

// run runs a program in the environment of the job. It does not change stdout, and trims stderr.
func (j job) run(ctx context.Context, stdin, name string, args ...string) (stdout, stderr string, err error) {
	cmd := exec.CommandContext(ctx, name, args...)
	var out, errOut bytes.Buffer
	cmd.Env, cmd.Stdin, cmd.Stdout, cmd.Stderr = j.env, strings.NewReader(stdin), &out, &errOut
	err = cmd.Run()
	return out.String(), strings.TrimSpace(errOut.String()), err
}

// login returns an error if the registry does not accept the login of a job.
func (b *bench) login(ctx context.Context, j job, host string) error {
	l, err := j.get(ctx, host)
	if err != nil {
		return err
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://"+host+"/v2/", nil)
	if err != nil {
		return err
	}
	r.SetBasicAuth(l.Username, l.Secret)
	transport := b.server.Transport()
	defer transport.CloseIdleConnections()
	resp, err := transport.RoundTrip(r)
	if err != nil {
		return fmt.Errorf("logging in: %w", err)
	}
	defer resp.Body.Close()
	if text, err := io.ReadAll(resp.Body); err != nil || resp.StatusCode != http.StatusOK {
		return fmt.Errorf("logging in with the password of %s: HTTP %d %s", filepath.Base(j.binary),
			resp.StatusCode, text)
	}
	return nil
}

// meterArg is the first argument of a process that runs as a meter.
const meterArg = "meter"

// meter runs a command with this process's stdin and stdout, and writes the command's peak resident
// memory, in bytes, to stderr. It is a separate process because Linux includes the parent's memory
// at the time of the exec, and the process with the emulator has more memory than the command.
func meter(name string, args ...string) int {
	cmd := exec.Command(name, args...)
	cmd.Stdin, cmd.Stdout = os.Stdin, os.Stdout
	if err := cmd.Run(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	fmt.Fprint(os.Stderr, peakMemory(cmd.ProcessState))
	return 0
}

// peakMemory returns a process's peak resident memory in bytes, or 0 on systems that do not report
// it, such as Windows.
func peakMemory(s *os.ProcessState) int64 {
	most := reflect.Indirect(reflect.ValueOf(s.SysUsage())).FieldByName("Maxrss")
	switch {
	case !most.IsValid():
		return 0
	case runtime.GOOS == "darwin":
		return most.Int()
	}
	return most.Int() << 10
}
