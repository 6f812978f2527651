package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ecr-oidc/docker-credential-ecr-oidc/e2e/emulator"
)

// The wire's two ends, in a network that is for documents alone.
var nearEnd, farEnd = netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.2")

// mtu is the largest packet of a TUN device, unless it is told another.
const mtu = 1500

// enter runs this program again, as root of network, mount, process and, where we are not root, user namespaces of its own.
// The kernel ends every process in there with it, and it with us.
func enter(ctx context.Context, dir string) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	runtime.LockOSThread() // Pdeathsig comes when the thread ends that started the process
	defer runtime.UnlockOSThread()
	cmd := exec.CommandContext(ctx, self, os.Args[1:]...)
	cmd.Env, cmd.Stdout, cmd.Stderr = append(os.Environ(), inside+"="+dir), os.Stdout, os.Stderr
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET | syscall.CLONE_NEWNS | syscall.CLONE_NEWPID, Pdeathsig: syscall.SIGKILL}
	if os.Geteuid() != 0 {
		cmd.SysProcAttr.Cloneflags |= syscall.CLONE_NEWUSER
		cmd.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{HostID: os.Getuid(), Size: 1}}
		cmd.SysProcAttr.GidMappings = []syscall.SysProcIDMap{{HostID: os.Getgid(), Size: 1}}
	}
	var exit *exec.ExitError
	switch err := cmd.Run(); {
	case err == nil:
		return nil
	case errors.As(err, &exit) && exit.ExitCode() == exitNoWire:
		return fmt.Errorf("%w: it needs root, a container that is --privileged, or user namespaces and access to /dev/net/tun", errNoWire)
	case errors.As(err, &exit) && exit.ExitCode() > 0:
		return errSaid
	case errors.As(err, &exit): // a signal
		return fmt.Errorf("measuring in namespaces: %w", err)
	default:
		return fmt.Errorf("%w: %w: namespaces need root, or a container that is --privileged", errNoWire, err)
	}
}

// layWire lays a wire from this process's network namespace to a second one, and returns the emulator at its far end. There
// is no other network in either, and real host names lead over the wire, so that programs need not know of any of it.
func layWire(rtt time.Duration, dir string) (*emulator.Server, error) {
	near, err := openEnd(nearEnd)
	if err != nil {
		return nil, err
	}
	type end struct {
		tun    *os.File
		server *emulator.Server
		err    error
	}
	there := make(chan end)
	go func() {
		// For ever: this thread alone is in the second namespace, and so is each socket that is made on it, and those
		// that it accepts. Go starts no other thread or process from it.
		runtime.LockOSThread()
		var far end
		if far.err = unix.Unshare(unix.CLONE_NEWNET); far.err == nil {
			if far.tun, far.err = openEnd(farEnd); far.err == nil {
				far.server, far.err = startEmulator(netip.AddrPortFrom(farEnd, 443).String(), dir)
			}
		}
		there <- far
		select {}
	}()
	far := <-there
	if far.err != nil {
		return nil, fmt.Errorf("laying the wire's far end: %w", far.err)
	}
	go relayExactly(near, far.tun, rtt/2)
	go relayExactly(far.tun, near, rtt/2)
	return far.server, mountHosts(filepath.Join(dir, "hosts"))
}

// packet is one that is on its way.
type packet struct {
	data []byte
	due  time.Time
}

// relay hands each packet that comes from one end of a wire to the other, in order, and a delay after it came. It ends when
// there are no more. It is late by what sleep is late, and by what the machine takes to wake it when a packet comes.
func relay(from io.Reader, to io.Writer, delay time.Duration, sleep func(time.Duration)) {
	way := make(chan packet, 4096) // more than all windows of what is measured hold; were it full, it would delay, not lose
	go func() {
		defer close(way)
		for {
			data := make([]byte, mtu)
			n, err := from.Read(data)
			if err != nil {
				return
			}
			way <- packet{data[:n], time.Now().Add(delay)}
		}
	}()
	for p := range way {
		if left := time.Until(p.due); left > 0 {
			sleep(left)
		}
		// A packet that cannot be handed over is lost, as on any wire, and TCP sends it again.
		_, _ = to.Write(p.data)
	}
}

// relayExactly relays on a thread of its own, which sleeps in the kernel with no slack: it is late by some 50 µs, and does
// not spin. A timer of Go's would be late by up to a millisecond, since its poller counts in those.
func relayExactly(from, to *os.File, delay time.Duration) {
	runtime.LockOSThread()
	_ = unix.Prctl(unix.PR_SET_TIMERSLACK, 1, 0, 0, 0) // without it: 50 µs more
	relay(from, to, delay, func(d time.Duration) {
		left := unix.NsecToTimespec(d.Nanoseconds())
		for errors.Is(unix.Nanosleep(&left, &left), unix.EINTR) {
		}
	})
}

// openEnd makes a TUN device with an address, in the network namespace of the thread that it is called on.
func openEnd(addr netip.Addr) (*os.File, error) {
	fd, err := unix.Open("/dev/net/tun", unix.O_RDWR|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, fmt.Errorf("opening /dev/net/tun: %w", err)
	}
	if err := configure(fd, addr); err != nil {
		unix.Close(fd)
		return nil, fmt.Errorf("making a TUN device: %w", err)
	}
	return os.NewFile(uintptr(fd), "tun"), nil
}

// configure gives a new device its address, and sets it and loopback up.
func configure(fd int, addr netip.Addr) error {
	s, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(s)
	for _, step := range []struct {
		fd      int
		device  string
		request uint
		set     func(*unix.Ifreq) error
	}{
		{s, "lo", unix.SIOCSIFFLAGS, flags(unix.IFF_UP)},
		{fd, "wire", unix.TUNSETIFF, flags(unix.IFF_TUN | unix.IFF_NO_PI)},
		{s, "wire", unix.SIOCSIFADDR, inet(addr)},
		{s, "wire", unix.SIOCSIFNETMASK, inet(netip.MustParseAddr("255.255.255.0"))},
		{s, "wire", unix.SIOCSIFFLAGS, flags(unix.IFF_UP)},
	} {
		r, err := unix.NewIfreq(step.device)
		if err != nil {
			return err
		}
		if err := errors.Join(step.set(r), unix.IoctlIfreq(step.fd, step.request, r)); err != nil {
			return err
		}
	}
	return nil
}

func flags(f uint16) func(*unix.Ifreq) error {
	return func(r *unix.Ifreq) error { r.SetUint16(f); return nil }
}

func inet(addr netip.Addr) func(*unix.Ifreq) error {
	return func(r *unix.Ifreq) error { return r.SetInet4Addr(addr.AsSlice()) }
}

// mountHosts puts the names that are asked for into an /etc/hosts that only this mount namespace sees.
func mountHosts(file string) error {
	text := "127.0.0.1 localhost\n" + farEnd.String() + " " + strings.Join(hosts, " ") + "\n"
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		return err
	}
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("making the mounts private: %w", err)
	}
	if err := unix.Mount(file, "/etc/hosts", "", unix.MS_BIND, ""); err != nil {
		return fmt.Errorf("mounting /etc/hosts: %w", err)
	}
	return nil
}
