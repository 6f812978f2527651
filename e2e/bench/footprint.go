package main

import (
	"fmt"
	"os"
	"runtime"
	"strconv"
)

// memory has a meter between us and the helper, see there.
func (b *bench) memory() error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	metered := func(newJob func() job, before ...string) once {
		return func() (s sample, err error) {
			j := newJob()
			if err := j.start(b.ctx, before...); err != nil {
				return s, err
			}
			_, text, err := j.run(b.ctx, usual, self, metering, j.binary, "get")
			if err != nil {
				return s, fmt.Errorf("%w: %s", err, text)
			}
			s.peak, err = strconv.ParseInt(text, 10, 64)
			return s, err
		}
	}
	peerKeys := func() job { return b.peerKeys(peer) }
	got, err := inTurn(b.runs, metered(b.github), metered(b.peerOIDC),
		metered(b.github, usual), metered(peerKeys, usual), metered(b.idle))
	if err != nil || got[0].memory() == 0 { // the system does not tell
		return err
	}
	b.bytes("peak memory, cold get", got[0], got[1], atMost(float64(got[0].memory())/(1<<20), coldMemory, " MiB"))
	b.bytes("peak memory, cached get", got[2], got[3], bound{})
	b.add(row{name: "  the least that can be measured", ours: mebibytes(got[4].memory())})
	return nil
}

func (b *bench) size() error {
	var sizes [3]int64
	for i, name := range []string{program, peer, peerOurSDK} {
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
	for i, name := range []string{"the program, in bytes", "  peer with our SDK"} {
		ours, theirs := sizes[0], sizes[1+i]
		b.add(row{name, fmt.Sprint(ours), fmt.Sprint(theirs), float64(ours) / float64(theirs), most})
		most = bound{}
	}
	return nil
}
