package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/ecr-oidc/docker-credential-ecr-oidc/e2e/emulator"
)

const (
	// most is how many helpers that may have to ask AWS run at a time: they mostly wait, but each needs some megabytes.
	most = 256

	// sharing: one job of so many runs on a self-hosted runner that keeps its cache directory from job to job.
	sharing = 4

	firstRun = 1_000_000_000 // the first job's run id, which is in its role session's name
)

// fleet is a plan at work.
type fleet struct {
	plan
	server   *emulator.Server
	dir      string
	binary   string
	ca       string
	registry *http.Client
	asking   chan struct{} // a place for each helper that may have to ask AWS
	reading  chan struct{} // a place for each job whose pulls the cache answers
	counters

	mu    sync.Mutex
	jobOf map[string]int // by the path of its token endpoint
}

// pull is what came of one.
type pull struct {
	took   time.Duration
	failed string // what the helper or the registry said; "" for a login that was taken
}

// work runs all jobs and returns their pulls.
func (f *fleet) work(ctx context.Context) []pull {
	pulls := make([]pull, f.jobs*f.pulls)
	var all sync.WaitGroup
	for n := range f.jobs {
		start := time.NewTimer(f.startOf(n))
		all.Go(func() {
			defer start.Stop()
			select {
			case <-start.C:
				f.job(ctx, n, pulls[n*f.pulls:][:f.pulls])
			case <-ctx.Done():
			}
		})
	}
	all.Wait()
	return pulls
}

// startOf is when a job starts.
func (p plan) startOf(n int) time.Duration {
	last := (p.jobs - 1) / p.wave
	return p.over * time.Duration(n/p.wave) / time.Duration(max(1, last))
}

// job runs one job's pulls, so many together.
func (f *fleet) job(ctx context.Context, n int, pulls []pull) {
	env, err := f.environment(n)
	for first := 0; first < len(pulls) && ctx.Err() == nil; first += f.atOnce {
		batch := pulls[first:min(first+f.atOnce, len(pulls))]
		// What has to ask AWS goes when it is its time, as on machines of their own. What the cache answers only costs
		// this machine's processors; it waits for them, so that AWS is asked as fast as the plan says.
		cold := first < len(f.regions)
		if !cold {
			f.reading <- struct{}{}
		}
		var together sync.WaitGroup
		for i := range batch {
			together.Go(func() {
				if err != nil {
					batch[i].failed = err.Error()
					return
				}
				if cold {
					f.asking <- struct{}{}
					defer func() { <-f.asking }()
				}
				batch[i] = f.pull(ctx, n, env, f.regions[(first+i)%len(f.regions)])
			})
		}
		together.Wait()
		if !cold {
			<-f.reading
		}
	}
}

// environment is a job's: a GitHub job of its own, with its own request token, and a machine of its own or the shared one.
func (f *fleet) environment(n int) ([]string, error) {
	home := filepath.Join(f.dir, "job-"+strconv.Itoa(n))
	temp := filepath.Join(home, "temp")
	if err := os.MkdirAll(temp, 0o755); err != nil {
		return nil, err
	}
	env := f.server.GitHubRealHost(emulator.GitHubJob{})
	endpoint, err := url.Parse(env["ACTIONS_ID_TOKEN_REQUEST_URL"])
	if err != nil {
		return nil, err
	}
	f.mu.Lock()
	f.jobOf[endpoint.Path] = n
	f.mu.Unlock()
	maps.Copy(env, map[string]string{
		"GITHUB_RUN_ID": strconv.Itoa(firstRun + n), "HOME": home, "RUNNER_TEMP": temp, "SystemRoot": os.Getenv("SystemRoot"),
		"ECR_ROLE_TO_ASSUME": emulator.CIRole, "AWS_CA_BUNDLE": f.ca, "HTTPS_PROXY": f.server.ProxyURL(),
	})
	if n%sharing == sharing-1 {
		env["ECR_OIDC_CACHE_DIR"] = filepath.Join(f.dir, "shared")
	}
	var list []string
	for _, name := range slices.Sorted(maps.Keys(env)) {
		list = append(list, name+"="+env[name])
	}
	return append(list, f.setting...), nil
}

// pull is what a registry client does: it asks the helper, and logs in to the registry with what that said.
func (f *fleet) pull(ctx context.Context, n int, env []string, region string) (p pull) {
	running := f.running.Add(1)
	for peak := f.peak.Load(); running > peak && !f.peak.CompareAndSwap(peak, running); {
		peak = f.peak.Load()
	}
	defer f.running.Add(-1)
	defer f.done.Add(1)
	host := registryOf(region)
	cmd := exec.CommandContext(ctx, f.binary, "get")
	var stdout, stderr bytes.Buffer
	cmd.Env, cmd.Stdin, cmd.Stdout, cmd.Stderr = env, strings.NewReader(host), &stdout, &stderr
	start := time.Now()
	err := cmd.Run()
	p.took = time.Since(start)
	var login struct{ Username, Secret string }
	switch {
	case err != nil:
		p.failed = cmp.Or(strings.TrimSpace(stderr.String()), err.Error())
	case stderr.Len() > 0:
		p.failed = "a good get wrote to stderr: " + strings.TrimSpace(stderr.String())
	case json.Unmarshal(stdout.Bytes(), &login) != nil:
		p.failed = "the helper's answer is not JSON"
	default:
		p.failed = f.login(ctx, n, host, login.Username, login.Secret)
	}
	if p.failed != "" {
		f.failed.Add(1)
	}
	return p
}

func registryOf(region string) string {
	return emulator.Account + ".dkr.ecr." + region + ".amazonaws.com"
}

// login asks a registry whether it takes a login, and says why not. The job's number goes along, so that the registry's
// record says who came with whose password.
func (f *fleet) login(ctx context.Context, n int, host, username, password string) (refused string) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://"+host+"/v2/", nil)
	if err != nil {
		return err.Error()
	}
	r.SetBasicAuth(username, password)
	r.Header.Set("User-Agent", strconv.Itoa(n))
	resp, err := f.registry.Do(r)
	if err != nil {
		return err.Error()
	}
	defer resp.Body.Close()
	if text, err := io.ReadAll(resp.Body); err != nil || resp.StatusCode != http.StatusOK {
		return fmt.Sprintf("the registry refused the password: HTTP %d %s", resp.StatusCode, bytes.TrimSpace(text))
	}
	return ""
}
