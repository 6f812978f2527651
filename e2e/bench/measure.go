package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/ecr-oidc/docker-credential-ecr-oidc/e2e/emulator"
)

// Upper bounds for this program. Those in round-trip times apply only to long round trips, see
// boundRTTs.
const (
	cachedRatio = 1.00     // of the duration of a cached get by the peer with the same SDK
	githubRTTs  = 5.7      // of a cold get on GitHub, including the request for the token
	circleRTTs  = 4.7      // of a cold get on CircleCI
	actionRTTs  = 7.5      // of the action's step and the first get: 450 ms at 60 ms
	coldMemory  = 25       // MiB, peak memory of a cold get
	binarySize  = 12 << 20 // bytes, on linux/amd64
)

// The calls that a job makes, whatever the number of its pulls.
var githubCalls, circleCalls = calls{oidc: 1, sts: 1, ecr: 1}, calls{sts: 1, ecr: 1}

const sequentialPulls, concurrentPulls = 10, 64

// bench is a benchmark with its emulator and its table.
type bench struct {
	table
	ctx       context.Context
	dir       string
	server    *emulator.Server
	networked bool // the emulator is behind the emulated network, under the services' real names
	jobs      int  // number of jobs so far
}

// runFunc is one run of a measurement.
type runFunc func() (sample, error)

// measure runs all measurements that are possible on this machine.
func (b *bench) measure(ctx context.Context) error {
	b.ctx, b.chart.rtt = ctx, b.rtt
	for _, s := range []struct {
		name    string
		step    func() error
		network bool // needs the emulated network
	}{
		{"the emulated network", b.measureNetwork, true},
		{"the logins", b.checkLogins, false},
		{"cached gets", b.compareCached, false},
		{"cold gets", func() error {
			return b.compare("cold get", "Login with an empty cache", b.runs, b.singleGet(firstRegistry),
				githubRTTs, circleRTTs)
		}, false},
		{"ten pulls", func() error {
			return b.compare("ten pulls", "Ten sequential pulls", b.slowRuns(), b.sequentialGets, 0, 0)
		}, true},
		{"64 concurrent pulls", b.compareConcurrent, true},
		{"other regions and accounts", b.compareOtherRegistries, true},
		{"actions", b.compareActions, true},
		{"memory", b.compareMemory, false},
		{"size", b.compareSize, false},
	} {
		if s.network && !b.networked {
			continue
		}
		fmt.Fprintln(os.Stderr, "measuring", s.name)
		if err := s.step(); err != nil {
			return fmt.Errorf("measuring %s: %w", s.name, err)
		}
	}
	return nil
}

// interleave runs each function the given number of times, alternately. The order of the functions
// affects the results, so it is random in each round. It is the same in each run of the benchmark.
func interleave(runs int, funcs ...runFunc) ([]series, error) {
	results := make([]series, len(funcs))
	random := rand.New(rand.NewPCG(0, 0))
	for range runs {
		for _, i := range random.Perm(len(funcs)) {
			s, err := funcs[i]()
			if err != nil {
				return nil, err
			}
			results[i] = append(results[i], s)
		}
	}
	return results, nil
}

// timed measures the duration of f, from the start of the first process to the end of the last one,
// and its calls.
func (b *bench) timed(j job, f gets) (s sample, err error) {
	b.server.ResetCalls()
	start := time.Now()
	ended, err := f(j)
	s.duration = ended.Sub(start)
	s.calls = calls{b.server.Count("oidc"), b.server.Count("sts"), b.server.Count("ecr")}
	return s, err
}

// gets runs one or more gets in a job, and returns the time at which the last process ended.
type gets func(job) (ended time.Time, err error)

// inNewJob measures gets in a new job for each run. The job first gets a login for each registry in
// before.
func (b *bench) inNewJob(newJob func() job, f gets, before ...string) runFunc {
	return func() (sample, error) {
		j := newJob()
		if err := j.start(b.ctx, before...); err != nil {
			return sample{}, err
		}
		return b.timed(j, f)
	}
}

// singleGet is one get.
func (b *bench) singleGet(host string) gets {
	return func(j job) (time.Time, error) {
		l, err := j.get(b.ctx, host)
		return l.ended, err
	}
}

// sequentialGets is ten gets, one after the other.
func (b *bench) sequentialGets(j job) (ended time.Time, err error) {
	for range sequentialPulls {
		if ended, err = b.singleGet(firstRegistry)(j); err != nil {
			return ended, err
		}
	}
	return ended, nil
}

// concurrentGets is 64 gets at the same time. Its duration includes the time to start the processes.
func (b *bench) concurrentGets(j job) (last time.Time, err error) {
	var running sync.WaitGroup
	ends, errs := make([]time.Time, concurrentPulls), make([]error, concurrentPulls)
	for i := range concurrentPulls {
		running.Go(func() { ends[i], errs[i] = b.singleGet(firstRegistry)(j) })
	}
	running.Wait()
	return slices.MaxFunc(ends, time.Time.Compare), errors.Join(errs...)
}

// measureNetwork measures the emulated network without any of the programs, so that the table shows
// how exact it is.
func (b *bench) measureNetwork() error {
	var plain net.Conn
	var conn *tls.Conn
	config := b.server.Transport().TLSClientConfig
	config.ServerName = networkHosts[0]
	steps := []struct {
		name string
		do   func() error
	}{
		{"TCP connect", func() (err error) {
			plain, err = net.Dial("tcp", networkHosts[0]+":443")
			return err
		}},
		{"TLS handshake", func() error {
			conn = tls.Client(plain, config)
			return conn.HandshakeContext(b.ctx)
		}},
		{"request", func() error {
			_, err := fmt.Fprintf(conn, "GET / HTTP/1.1\r\nHost: %s\r\n\r\n", networkHosts[0])
			_, readErr := conn.Read(make([]byte, 1))
			return errors.Join(err, readErr)
		}},
	}
	laps := make([][]time.Duration, len(steps))
	for range b.runs {
		for i, step := range steps {
			start := time.Now()
			if err := step.do(); err != nil {
				return err
			}
			laps[i] = append(laps[i], time.Since(start))
		}
		plain.Close()
	}
	for i, step := range steps {
		median := quantile(laps[i], 0.5)
		b.network = append(b.network,
			fmt.Sprintf("%s %s (%.2f RTT)", step.name, formatDuration(median), roundTrips(median, b.rtt)))
	}
	return nil
}

// checkLogins checks, before all measurements, that the registries accept the login of each job.
func (b *bench) checkLogins() error {
	for _, j := range []job{
		b.github(), b.githubRoles(), b.circleci(), b.keys(), b.peerOIDC(), b.peerKeys(peer),
		b.peerKeys(peerSameSDK),
	} {
		if err := j.start(b.ctx); err != nil {
			return err
		}
		for _, host := range []string{firstRegistry, secondRegionRegistry, secondAccountRegistry} {
			if err := b.login(b.ctx, j, host); err != nil {
				return err
			}
		}
	}
	return nil
}

// compareConcurrent compares concurrent gets without and with a filled cache.
func (b *bench) compareConcurrent() error {
	if err := b.compare("64 pulls", "64 concurrent pulls", b.slowRuns(), b.concurrentGets, 0, 0); err != nil {
		return err
	}
	got, err := b.runCached(b.slowRuns(), b.concurrentGets)
	if err == nil {
		b.addTimes("  with a filled cache", got.helper, got.peer, bound{})
	}
	return err
}

// compare measures f with an empty cache: this program on GitHub and on CircleCI, and the peer. It
// adds rows to the table and a group to the chart. Both rows have the same measurement of the peer,
// which fetches its token from neither CI.
func (b *bench) compare(name, title string, runs int, f gets, github, circle float64) error {
	got, err := interleave(runs, b.inNewJob(b.github, f), b.inNewJob(b.circleci, f),
		b.inNewJob(b.peerOIDC, f))
	if err != nil {
		return err
	}
	if b.networked {
		b.addTimes(name+", GitHub", got[0], got[2], b.boundRTTs(got[0], github))
		b.addTimes(name+", CircleCI", got[1], got[2], b.boundRTTs(got[1], circle))
		b.chart.groups = append(b.chart.groups, group{title, []bar{
			{"ecr-oidc on GitHub", got[0].median(), got[0].unexpectedCalls(githubCalls), true},
			{"ecr-oidc on CircleCI", got[1].median(), got[1].unexpectedCalls(circleCalls), true},
			{peerName, got[2].median(), got[2].unexpectedCalls(got[2][0].calls), false},
		}})
	}
	b.addCalls("  calls of "+name+", GitHub", got[0], got[2], githubCalls)
	b.addCalls("  calls of "+name+", CircleCI", got[1], got[2], circleCalls)
	return nil
}

// compareOtherRegistries measures gets for a second region, and for a second account with the same
// role or its own, in a job that already has a login. A job with AWS keys calls only ECR, so it
// shows the duration with a cached role session.
func (b *bench) compareOtherRegistries() error {
	region, account := b.singleGet(secondRegionRegistry), b.singleGet(secondAccountRegistry)
	got, err := interleave(b.runs,
		b.inNewJob(b.github, region, firstRegistry), b.inNewJob(b.peerOIDC, region, firstRegistry),
		b.inNewJob(b.keys, region),
		b.inNewJob(b.github, account, firstRegistry), b.inNewJob(b.peerOIDC, account, firstRegistry),
		b.inNewJob(b.githubRoles, account, firstRegistry))
	if err != nil {
		return err
	}
	b.addTimes("second region", got[0], got[1], bound{})
	b.addTimes("  with a cached role session", got[2], nil, bound{})
	b.addTimes("second account", got[3], got[4], bound{})
	b.addTimes("  with its own role", got[5], nil, bound{})
	return nil
}

// boundRTTs bounds the median of a series in round-trip times; 0 is no bound. There is no bound for
// round trips below 60 ms either, because then the processing time has a larger share of the
// result.
func (p plan) boundRTTs(s series, most float64) bound {
	if most == 0 || p.rtt < 60*time.Millisecond {
		return bound{}
	}
	return atMost(roundTrips(s.median(), p.rtt), most, " RTT")
}

// cachedRuns and slowRuns return the number of runs of the fastest and of the slowest measurements.
func (p plan) cachedRuns() int { return 50 * p.runs }

func (p plan) slowRuns() int { return (p.runs + 1) / 2 }
