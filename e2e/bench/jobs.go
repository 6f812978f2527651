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
	userID      = "AKIDEXAMPLE" // AWS's own example, like those of package world

	usual         = emulator.Account + ".dkr.ecr." + emulator.Region + ".amazonaws.com"
	secondRegion  = emulator.Account + ".dkr.ecr." + otherRegion + ".amazonaws.com"
	secondAccount = emulator.SpokeAccount + ".dkr.ecr." + emulator.Region + ".amazonaws.com"
)

// hosts are the names that lead over the wire. Each service has its own, so that no connection serves two of them.
var hosts = []string{
	"run-actions-1-azure-eastus.actions.githubusercontent.com",
	"sts." + emulator.Region + ".amazonaws.com", "api.ecr." + emulator.Region + ".amazonaws.com",
	"sts." + otherRegion + ".amazonaws.com", "api.ecr." + otherRegion + ".amazonaws.com",
}

// userSecret is made anew each time, so that nobody takes it for a key that has leaked.
var userSecret = rand.Text()

// startEmulator starts the usual world, with a role in the second account that trusts the same job, and a user that may log
// in. It writes the files that all jobs share to dir: the CA, and the peer's token.
func startEmulator(addr, dir string) (*emulator.Server, error) {
	w, err := emulator.Start(emulator.Options{Addr: addr})
	if err != nil {
		return nil, err
	}
	w.AddDefaults()
	w.AddFederatedRole(otherRole, emulator.GitHubIssuer, "sts.amazonaws.com", subject)
	w.AddUser(emulator.User{ARN: "arn:aws:iam::" + emulator.Account + ":user/puller", AccessKeyID: userID, SecretAccessKey: userSecret})
	w.Circle(emulator.CircleJob{}) // makes its issuer's key now, so that nothing that is measured waits for it
	token := w.Mint(emulator.GitHubIssuer, map[string]any{"sub": subject, "aud": "sts.amazonaws.com", "exp": time.Now().Add(12 * time.Hour).Unix()})
	if err := errors.Join(os.WriteFile(filepath.Join(dir, "ca.pem"), w.CAPEM(), 0o600), os.WriteFile(filepath.Join(dir, "token"), []byte(token), 0o600)); err != nil {
		w.Close()
		return nil, fmt.Errorf("writing what jobs share: %w", err)
	}
	return w, nil
}

// job is a program in an environment, with a home and a cache of its own.
type job struct {
	binary string
	temp   string // in its home; neither is there before the job is started
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
	if !b.wired {
		all["HTTPS_PROXY"] = b.server.ProxyURL()
	}
	maps.Copy(all, ci)
	maps.Copy(all, more)
	for _, name := range slices.Sorted(maps.Keys(all)) {
		j.env = append(j.env, name+"="+all[name])
	}
	return j
}

// start makes a job's home, and has the job get logins that are not measured.
func (j job) start(ctx context.Context, hosts ...string) error {
	if err := os.MkdirAll(j.temp, 0o755); err != nil {
		return fmt.Errorf("making a job's home: %w", err)
	}
	for _, host := range hosts {
		if _, err := j.get(ctx, host); err != nil {
			return err
		}
	}
	return nil
}

// github is this program in a job of GitHub Actions. All other jobs but CircleCI's have that job's variables too.
func (b *bench) github() job {
	return b.job(program, b.server.GitHubRealHost(emulator.GitHubJob{}), map[string]string{"ECR_ROLE_TO_ASSUME": emulator.CIRole})
}

// githubRoles is github with another role in the second account.
func (b *bench) githubRoles() job {
	return b.job(program, b.server.GitHubRealHost(emulator.GitHubJob{}), map[string]string{
		"ECR_ROLE_TO_ASSUME": emulator.CIRole, "ECR_OIDC_ROLE_" + emulator.SpokeAccount: otherRole,
	})
}

// circleci is this program in a job of CircleCI.
func (b *bench) circleci() job {
	return b.job(program, b.server.Circle(emulator.CircleJob{}), map[string]string{"ECR_ROLE_TO_ASSUME": emulator.CircleRole})
}

// keys is this program in a job that has AWS keys, and neither role nor token: it asks ECR alone.
func (b *bench) keys() job {
	return b.job(program, b.server.GitHubRealHost(emulator.GitHubJob{NoIDToken: true}), map[string]string{
		"AWS_ACCESS_KEY_ID": userID, "AWS_SECRET_ACCESS_KEY": userSecret,
	})
}

// peerOIDC is the peer with a job's token in a file. That flatters it: it cannot fetch the token, so that a step of the job
// must have done so before, in a time that is in no figure here, and on GitHub the file is good for five minutes only.
func (b *bench) peerOIDC() job {
	return b.job(peer, b.server.GitHubRealHost(emulator.GitHubJob{}), map[string]string{
		"AWS_WEB_IDENTITY_TOKEN_FILE": filepath.Join(b.dir, "token"),
		"AWS_ROLE_ARN":                emulator.CIRole, "AWS_ROLE_SESSION_NAME": "ci", "AWS_REGION": emulator.Region,
	})
}

// peerKeys is the peer, as released or with our SDK, with a user's keys. Its cache is by access key.
// It hits when the keys are in the job's environment, whether a user's or those of a session that an
// earlier step has made. It never hits when the peer itself assumes the role.
func (b *bench) peerKeys(name string) job {
	return b.job(name, b.server.GitHubRealHost(emulator.GitHubJob{}), map[string]string{
		"AWS_ACCESS_KEY_ID": userID, "AWS_SECRET_ACCESS_KEY": userSecret, "AWS_REGION": emulator.Region,
	})
}

// idle is the program that does nothing.
func (b *bench) idle() job { return b.job(nothing, b.server.GitHubRealHost(emulator.GitHubJob{}), nil) }

// login is a helper's answer.
type login struct {
	Username, Secret string
	ended            time.Time // when the process had: what we do with its answer is not its time
}

// get asks a helper for a login, as Docker does.
func (j job) get(ctx context.Context, host string) (l login, err error) {
	text, stderr, err := j.run(ctx, host, j.binary, "get")
	l.ended = time.Now()
	if err != nil {
		return l, fmt.Errorf("asking %s: %w: %s", filepath.Base(j.binary), err, cmp.Or(stderr, text))
	}
	if err := json.Unmarshal([]byte(text), &l); err != nil || l.Secret == "" {
		return l, fmt.Errorf("asking %s: no login in its answer", filepath.Base(j.binary))
	}
	return l, nil
}

func (j job) run(ctx context.Context, stdin, name string, args ...string) (stdout, stderr string, err error) {
	cmd := exec.CommandContext(ctx, name, args...)
	var out, complaint bytes.Buffer
	cmd.Env, cmd.Stdin, cmd.Stdout, cmd.Stderr = j.env, strings.NewReader(stdin), &out, &complaint
	err = cmd.Run()
	return out.String(), strings.TrimSpace(complaint.String()), err
}

// login fails unless the registry takes what a helper answers.
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
		return fmt.Errorf("logging in with the answer of %s: HTTP %d %s", filepath.Base(j.binary), resp.StatusCode, text)
	}
	return nil
}

// metering is the argument by which this program tells itself to be a meter.
const metering = "meter"

// meter runs a command with our stdin and stdout, and writes its peak resident memory, in bytes, to stderr. It is a process
// of its own because Linux counts for a process what its parent had at the time of the exec, and the parent that has the
// world in it is larger than what it would measure.
func meter(name string, args ...string) int {
	cmd := exec.Command(name, args...)
	cmd.Stdin, cmd.Stdout = os.Stdin, os.Stdout
	if err := cmd.Run(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	fmt.Fprint(os.Stderr, peak(cmd.ProcessState))
	return 0
}

// peak is a process's largest resident memory, in bytes; 0 where the system does not say: on Windows there is no such field.
func peak(s *os.ProcessState) int64 {
	most := reflect.Indirect(reflect.ValueOf(s.SysUsage())).FieldByName("Maxrss")
	switch {
	case !most.IsValid():
		return 0
	case runtime.GOOS == "darwin":
		return most.Int()
	}
	return most.Int() << 10
}
