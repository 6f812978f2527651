package main

import (
	"fmt"
	"os"
	"runtime"
	"strconv"
)

// compareMemory measures the peak memory of gets. Each helper runs under a separate meter process.
func (b *bench) compareMemory() error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	metered := func(newJob func() job, before ...string) runFunc {
		return func() (s sample, err error) {
			j := newJob()
			if err := j.start(b.ctx, before...); err != nil {
				return s, err
			}
			_, text, err := j.run(b.ctx, firstRegistry, self, meterArg, j.binary, "get")
			if err != nil {
				return s, fmt.Errorf("%w: %s", err, text)
			}
			s.peakMemory, err = strconv.ParseInt(text, 10, 64)
			return s, err
		}
	}
	peerKeys := func() job { return b.peerKeys(peer) }
	got, err := interleave(b.runs, metered(b.github), metered(b.peerOIDC),
		metered(b.github, firstRegistry), metered(peerKeys, firstRegistry), metered(b.empty))
	if err != nil || got[0].memory() == 0 { // not available on this system
		return err
	}
	b.addMemory("peak memory, cold get", got[0], got[1],
		atMost(float64(got[0].memory())/(1<<20), coldMemory, " MiB"))
	b.addMemory("peak memory, cached get", got[2], got[3], bound{})
	b.add(row{name: "  empty program", helper: formatMiB(got[4].memory())})
	return nil
}

func (b *bench) compareSize() error {
	var sizes [3]int64
	for i, name := range []string{program, peer, peerSameSDK} {
		fi, err := os.Stat(binary(b.dir, name, 0))
		if err != nil {
			return err
		}
		sizes[i] = fi.Size()
	}
	var most bound
	if runtime.GOOS == "linux" && runtime.GOARCH == "amd64" {
		most = atMost(float64(sizes[0]), binarySize, "")
	}
	for i, name := range []string{"size of the binary, bytes", "  peer with same SDK"} {
		helperSize, peerSize := sizes[0], sizes[1+i]
		b.add(row{name, fmt.Sprint(helperSize), fmt.Sprint(peerSize),
			float64(helperSize) / float64(peerSize), most})
		most = bound{}
	}
	return nil
}
