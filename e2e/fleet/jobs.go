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
	// maxHelpers limits the concurrent helpers that may have to call AWS. They mostly wait, but
	// each takes several megabytes of memory.
	maxHelpers = 256

	// sharedCacheEvery is the interval of jobs that share a cache directory, as jobs on a self-hosted
	// runner do: every fourth job.
	sharedCacheEvery = 4

	firstRunID = 1_000_000_000 // of the first job; the name of a role session ends with the run ID
)

// fleet is a running plan.
type fleet struct {
	plan
	server     *emulator.Server
	dir        string
	ca         string
	registry   *http.Client
	fetchSlots chan struct{} // limits the helpers that may have to call AWS
	cacheSlots chan struct{} // limits the jobs whose helpers read the cache
	counters

	mu    sync.Mutex
	jobOf map[string]int // job numbers by path of the token endpoint
}

// pull is the result of a pull.
type pull struct {
	duration time.Duration // of the helper
	failure  string        // error of the helper or the registry; empty if the login succeeded
}

// runJobs runs all jobs and returns their pulls, or fewer results if ctx ends.
func (f *fleet) runJobs(ctx context.Context) []pull {
	pulls := make([]pull, f.jobs*f.pulls)
	var all sync.WaitGroup
	for n := range f.jobs {
		start := time.NewTimer(f.startDelay(n))
		all.Go(func() {
			defer start.Stop()
			select {
			case <-start.C:
				f.runJob(ctx, n, pulls[n*f.pulls:][:f.pulls])
			case <-ctx.Done():
			}
		})
	}
	all.Wait()
	return pulls
}

// startDelay returns the delay after which job n starts.
func (p plan) startDelay(n int) time.Duration {
	last := (p.jobs - 1) / p.wave
	return p.duration * time.Duration(n/p.wave) / time.Duration(max(1, last))
}

// runJob runs the pulls of a job in batches of f.concurrency.
func (f *fleet) runJob(ctx context.Context, n int, pulls []pull) {
	env, err := f.environment(n)
	for first := 0; first < len(pulls) && ctx.Err() == nil; first += f.concurrency {
		batch := pulls[first:min(first+f.concurrency, len(pulls))]
		// Helpers that may have to call AWS start at once, as if each job had a machine of
		// its own. Helpers that only read the cache wait for a free processor, so that they
		// do not delay the calls to AWS.
		cold := first < len(f.regions)
		if !cold {
			f.cacheSlots <- struct{}{}
		}
		var running sync.WaitGroup
		for i := range batch {
			running.Go(func() {
				if err != nil {
					batch[i].failure = err.Error()
					return
				}
				if cold {
					f.fetchSlots <- struct{}{}
					defer func() { <-f.fetchSlots }()
				}
				batch[i] = f.pull(ctx, n, env, f.regions[(first+i)%len(f.regions)])
			})
		}
		running.Wait()
		if !cold {
			<-f.cacheSlots
		}
	}
}

// environment returns the environment of job n: a GitHub job with its own request token, and a home
// directory of its own. Some jobs share a cache directory.
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
		"GITHUB_RUN_ID": strconv.Itoa(firstRunID + n), "HOME": home, "RUNNER_TEMP": temp,
		"SystemRoot":         os.Getenv("SystemRoot"),
		"ECR_ROLE_TO_ASSUME": emulator.CIRole, "AWS_CA_BUNDLE": f.ca, "HTTPS_PROXY": f.server.ProxyURL(),
	})
	if n%sharedCacheEvery == sharedCacheEvery-1 {
		env["ECR_OIDC_CACHE_DIR"] = filepath.Join(f.dir, "shared")
	}
	var list []string
	for _, name := range slices.Sorted(maps.Keys(env)) {
		list = append(list, name+"="+env[name])
	}
	return append(list, f.extraEnv...), nil
}

// pull does what a registry client does: it gets a login from the helper and logs in to the registry.
func (f *fleet) pull(ctx context.Context, n int, env []string, region string) (p pull) {
	running := f.running.Add(1)
	for peak := f.peak.Load(); running > peak && !f.peak.CompareAndSwap(peak, running); {
		peak = f.peak.Load()
	}
	defer f.running.Add(-1)
	defer f.done.Add(1)
	host := registryHost(region)
	cmd := exec.CommandContext(ctx, f.binary, "get")
	var stdout, stderr bytes.Buffer
	cmd.Env, cmd.Stdin, cmd.Stdout, cmd.Stderr = env, strings.NewReader(host), &stdout, &stderr
	start := time.Now()
	err := cmd.Run()
	p.duration = time.Since(start)
	var login struct{ Username, Secret string }
	switch {
	case err != nil:
		p.failure = cmp.Or(strings.TrimSpace(stderr.String()), err.Error())
	case stderr.Len() > 0:
		p.failure = "a successful get wrote to stderr: " + strings.TrimSpace(stderr.String())
	case json.Unmarshal(stdout.Bytes(), &login) != nil:
		p.failure = "the helper's output is not JSON"
	default:
		p.failure = f.login(ctx, n, host, login.Username, login.Secret)
	}
	if p.failure != "" {
		f.failed.Add(1)
	}
	return p
}

func registryHost(region string) string {
	return emulator.Account + ".dkr.ecr." + region + ".amazonaws.com"
}

// login logs in to a registry and returns the error, or "" if the login succeeded. The User-Agent
// contains the job number, so that the recorded call shows which job sent the password.
func (f *fleet) login(ctx context.Context, n int, host, username, password string) (failure string) {
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
		return fmt.Sprintf("the registry rejected the password: HTTP %d %s", resp.StatusCode,
			bytes.TrimSpace(text))
	}
	return ""
}
