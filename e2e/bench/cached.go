package main

import (
	"errors"
	"fmt"
	"time"
)

// cachedGets are the measured gets that were answered from a cache, and beside them a process that
// does nothing.
type cachedGets struct{ ours, peer, peerOurSDK, nothing series }

// warm measures gets in one job of ours and one of each peer's, whose first get has filled the cache,
// and in turn with them a process that does nothing.
func (b *bench) warm(runs int, f gets) (got cachedGets, err error) {
	ours, theirs, theirsOurSDK, idle := b.github(), b.peerKeys(peer), b.peerKeys(peerOurSDK), b.idle()
	err = errors.Join(
		ours.start(b.ctx, usual), theirs.start(b.ctx, usual), theirsOurSDK.start(b.ctx, usual), idle.start(b.ctx))
	if err != nil {
		return got, err
	}
	again := func(j job, name string, f gets) once {
		n := 0
		return func() (sample, error) {
			j.binary = binary(b.dir, name, n)
			n++
			return b.timed(j, f)
		}
	}
	all, err := inTurn(runs, again(ours, program, f), again(theirs, peer, f),
		again(theirsOurSDK, peerOurSDK, f), again(idle, nothing, b.floor))
	if err != nil {
		return got, err
	}
	got = cachedGets{all[0], all[1], all[2], all[3]}
	for _, peer := range []series{got.peer, got.peerOurSDK} {
		if odd := peer.odd(calls{}); odd != (calls{}) {
			return got, fmt.Errorf("the peer's cache did not hit: %v", odd)
		}
	}
	return got, nil
}

// floor is what any process takes.
func (b *bench) floor(j job) (time.Time, error) {
	_, _, err := j.run(b.ctx, usual, j.binary, "get")
	return time.Now(), err
}

func (b *bench) cached() error {
	got, err := b.warm(b.many(), b.one(usual))
	if err != nil {
		return err
	}
	tail := func(s series) string { return short(quantile(s.times(), 0.95)) }
	b.times("cached get", got.ours, got.peer, bound{})
	b.add(row{name: "  95th percentile", ours: tail(got.ours), peer: tail(got.peer)})
	b.times("cached get, peer with our SDK", got.ours, got.peerOurSDK,
		atMost(ratio(got.ours, got.peerOurSDK), cachedRatio, ""))
	b.add(row{name: "  a Go program that does nothing", ours: short(got.nothing.median())})
	b.asked("  calls", got.ours, got.peer, calls{})
	return nil
}
