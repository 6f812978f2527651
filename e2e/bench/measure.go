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

// The bounds: ours may take no more. Those in round trips are for a wire that is long enough, see inTrips.
const (
	cachedRatio = 1.00     // of the time for a cached get of the peer with our SDK
	githubTrips = 5.7      // of a cold get on GitHub, whose token has to be fetched
	circleTrips = 4.7      // of a cold get on CircleCI
	coldMemory  = 25       // MiB, at the peak of a cold get
	binarySize  = 12 << 20 // bytes, on linux/amd64
)

// What a job asks, however many pulls it has.
var githubCalls, circleCalls = calls{oidc: 1, sts: 1, ecr: 1}, calls{sts: 1, ecr: 1}

const pulls, atOnce = 10, 64

// bench is an emulator, what is measured in it, and the table of that.
type bench struct {
	table
	ctx    context.Context
	dir    string
	server *emulator.Server
	wired  bool // the emulator is at the far end of a wire, and answers to its real names
	jobs   int
}

// once is one run of what is measured.
type once func() (sample, error)

// measure measures everything that can be measured here.
func (b *bench) measure(ctx context.Context) error {
	b.ctx, b.chart.rtt = ctx, b.rtt
	for _, s := range []struct {
		name string
		step func() error
		wire bool // it says something only of a wire
	}{
		{"the wire", b.itself, true},
		{"whether each login is right", b.logins, false},
		{"cached gets", b.cached, false},
		{"cold gets", func() error {
			return b.compare("cold get", "A cold login", b.runs, b.one(usual), githubTrips, circleTrips)
		}, false},
		{"ten pulls", func() error {
			return b.compare("ten pulls", "Ten pulls, one after the other", b.few(), b.inSequence, 0, 0)
		}, true},
		{"64 at once", b.together, true},
		{"other regions and accounts", b.others, true},
		{"memory", b.memory, false},
		{"size", b.size, false},
	} {
		if s.wire && !b.wired {
			continue
		}
		fmt.Fprintln(os.Stderr, "measuring", s.name)
		if err := s.step(); err != nil {
			return fmt.Errorf("measuring %s: %w", s.name, err)
		}
	}
	return nil
}

// inTurn runs each of them so many times, in turns. Each turn has an order of its own, since who comes first, and who comes
// after whom, is measurable. The orders are random, and the same in each run of the bench.
func inTurn(runs int, all ...once) ([]series, error) {
	results := make([]series, len(all))
	random := rand.New(rand.NewPCG(0, 0))
	for range runs {
		for _, i := range random.Perm(len(all)) {
			s, err := all[i]()
			if err != nil {
				return nil, err
			}
			results[i] = append(results[i], s)
		}
	}
	return results, nil
}

// timed measures what f takes in a job, from before its first process starts until its last has ended, and what it asks.
func (b *bench) timed(j job, f gets) (s sample, err error) {
	b.server.ResetCalls()
	start := time.Now()
	ended, err := f(j)
	s.took = ended.Sub(start)
	s.calls = calls{b.server.Count("oidc"), b.server.Count("sts"), b.server.Count("ecr")}
	return s, err
}

// gets are what is measured in a job. They return when the last process had ended.
type gets func(job) (ended time.Time, err error)

// fresh measures gets in a new job each time, after one for each of before.
func (b *bench) fresh(newJob func() job, f gets, before ...string) once {
	return func() (sample, error) {
		j := newJob()
		if err := j.start(b.ctx, before...); err != nil {
			return sample{}, err
		}
		return b.timed(j, f)
	}
}

// one is a single get.
func (b *bench) one(host string) gets {
	return func(j job) (time.Time, error) {
		l, err := j.get(b.ctx, host)
		return l.ended, err
	}
}

// inSequence are ten gets, one after the other.
func (b *bench) inSequence(j job) (ended time.Time, err error) {
	for range pulls {
		if ended, err = b.one(usual)(j); err != nil {
			return ended, err
		}
	}
	return ended, nil
}

// allAtOnce are 64 gets at the same time. That we need some time to start so many is in it, the same for all.
func (b *bench) allAtOnce(j job) (last time.Time, err error) {
	var all sync.WaitGroup
	ends, errs := make([]time.Time, atOnce), make([]error, atOnce)
	for i := range atOnce {
		all.Go(func() { ends[i], errs[i] = b.one(usual)(j) })
	}
	all.Wait()
	return slices.MaxFunc(ends, time.Time.Compare), errors.Join(errs...)
}

// itself measures the wire by hand, so that who reads the table need not take it on trust.
func (b *bench) itself() error {
	var plain net.Conn
	var conn *tls.Conn
	config := b.server.Transport().TLSClientConfig
	config.ServerName = hosts[0]
	steps := []struct {
		name string
		do   func() error
	}{
		{"TCP connect", func() (err error) { plain, err = net.Dial("tcp", hosts[0]+":443"); return err }},
		{"TLS handshake", func() error { conn = tls.Client(plain, config); return conn.HandshakeContext(b.ctx) }},
		{"a request", func() error {
			_, err := fmt.Fprintf(conn, "GET / HTTP/1.1\r\nHost: %s\r\n\r\n", hosts[0])
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
		took := quantile(laps[i], 0.5)
		b.wire = append(b.wire, fmt.Sprintf("%s %s (%.2f rt)", step.name, short(took), trips(took, b.rtt)))
	}
	return nil
}

// logins has the registries take what each job is answered, before anything is timed.
func (b *bench) logins() error {
	for _, j := range []job{
		b.github(), b.githubRoles(), b.circleci(), b.keys(), b.peerOIDC(), b.peerKeys(peer),
		b.peerKeys(peerOurSDK),
	} {
		if err := j.start(b.ctx); err != nil {
			return err
		}
		for _, host := range []string{usual, secondRegion, secondAccount} {
			if err := b.login(b.ctx, j, host); err != nil {
				return err
			}
		}
	}
	return nil
}

func (b *bench) together() error {
	if err := b.compare("64 at once", "64 pulls at once", b.few(), b.allAtOnce, 0, 0); err != nil {
		return err
	}
	got, err := b.warm(b.few(), b.allAtOnce)
	if err == nil {
		b.times("  when cached", got.ours, got.peer, bound{})
	}
	return err
}

// compare measures what f does, cold, in ours on GitHub, in ours on CircleCI and in the peer, and adds its rows and its
// group of the chart. The peer is the same in both rows: it has its token from neither CI.
func (b *bench) compare(name, title string, runs int, f gets, github, circle float64) error {
	got, err := inTurn(runs, b.fresh(b.github, f), b.fresh(b.circleci, f), b.fresh(b.peerOIDC, f))
	if err != nil {
		return err
	}
	if b.wired {
		b.times(name+", GitHub", got[0], got[2], b.inTrips(got[0], github))
		b.times(name+", CircleCI", got[1], got[2], b.inTrips(got[1], circle))
		b.chart.groups = append(b.chart.groups, group{title, []bar{
			{"ecr-oidc on GitHub", got[0].median(), got[0].odd(githubCalls), true},
			{"ecr-oidc on CircleCI", got[1].median(), got[1].odd(circleCalls), true},
			{peerName, got[2].median(), got[2].odd(got[2][0].calls), false},
		}})
	}
	b.asked("  calls of "+name+", GitHub", got[0], got[2], githubCalls)
	b.asked("  calls of "+name+", CircleCI", got[1], got[2], circleCalls)
	return nil
}

// others are gets after a job's first: for a second region, and for a second account with the same role and with its own.
// What it would take were the role session kept is seen in a job that has keys: it asks ECR alone.
func (b *bench) others() error {
	region, account := b.one(secondRegion), b.one(secondAccount)
	got, err := inTurn(b.runs,
		b.fresh(b.github, region, usual), b.fresh(b.peerOIDC, region, usual), b.fresh(b.keys, region),
		b.fresh(b.github, account, usual), b.fresh(b.peerOIDC, account, usual), b.fresh(b.githubRoles, account, usual))
	if err != nil {
		return err
	}
	b.times("then a second region", got[0], got[1], bound{})
	b.times("  were the role session kept", got[2], nil, bound{})
	b.times("then a second account", got[3], got[4], bound{})
	b.times("  with a role of its own", got[5], nil, bound{})
	return nil
}

// inTrips bounds a series by round trips, by 0 not at all. On a wire shorter than the bounds are for, the machine's own time
// counts for more of them.
func (p plan) inTrips(s series, most float64) bound {
	if most == 0 || p.rtt < 60*time.Millisecond {
		return bound{}
	}
	return atMost(trips(s.median(), p.rtt), most, " rt")
}

// many and few are how often the quickest and the longest things are measured.
func (p plan) many() int { return 50 * p.runs }

func (p plan) few() int { return (p.runs + 1) / 2 }
