package main

import (
	"errors"
	"fmt"
	"time"
)

// cachedGets are the measurements of gets that hit the cache, and of the empty program.
type cachedGets struct{ helper, peer, peerSameSDK, empty series }

// runCached measures gets with a filled cache, and alternately the empty program. Each helper has
// one job.
func (b *bench) runCached(runs int, f gets) (got cachedGets, err error) {
	helperJob, peerJob := b.github(), b.peerKeys(peer)
	sameSDKJob, emptyJob := b.peerKeys(peerSameSDK), b.empty()
	err = errors.Join(
		helperJob.start(b.ctx, firstRegistry), peerJob.start(b.ctx, firstRegistry),
		sameSDKJob.start(b.ctx, firstRegistry), emptyJob.start(b.ctx))
	if err != nil {
		return got, err
	}
	rerun := func(j job, name string, f gets) runFunc {
		n := 0
		return func() (sample, error) {
			j.binary = binary(b.dir, name, n)
			n++
			return b.timed(j, f)
		}
	}
	all, err := interleave(runs, rerun(helperJob, program, f), rerun(peerJob, peer, f),
		rerun(sameSDKJob, peerSameSDK, f), rerun(emptyJob, emptyProgram, b.runEmpty))
	if err != nil {
		return got, err
	}
	got = cachedGets{all[0], all[1], all[2], all[3]}
	for _, peer := range []series{got.peer, got.peerSameSDK} {
		if unexpected := peer.unexpectedCalls(calls{}); unexpected != (calls{}) {
			return got, fmt.Errorf("the peer's cache was not used: %v", unexpected)
		}
	}
	return got, nil
}

// runEmpty runs the empty program, which shows the minimum for any process.
func (b *bench) runEmpty(j job) (time.Time, error) {
	_, _, err := j.run(b.ctx, firstRegistry, j.binary, "get")
	return time.Now(), err
}

func (b *bench) compareCached() error {
	got, err := b.runCached(b.cachedRuns(), b.singleGet(firstRegistry))
	if err != nil {
		return err
	}
	tail := func(s series) string { return formatDuration(quantile(s.times(), 0.95)) }
	b.addTimes("cached get", got.helper, got.peer, bound{})
	b.add(row{name: "  95th percentile", helper: tail(got.helper), peer: tail(got.peer)})
	b.addTimes("cached get, peer with same SDK", got.helper, got.peerSameSDK,
		atMost(ratio(got.helper, got.peerSameSDK), cachedRatio, ""))
	b.add(row{name: "  empty Go program", helper: formatDuration(got.empty.median())})
	b.addCalls("  calls", got.helper, got.peer, calls{})
	return nil
}
