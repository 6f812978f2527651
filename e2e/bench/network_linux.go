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

// Addresses of the two ends of the emulated network, from a block that is reserved for documentation.
var clientAddr, serverAddr = netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.2")

// mtu is the default MTU of a TUN device.
const mtu = 1500

// runInNamespaces runs this program again in new network, mount and PID namespaces and, if it is
// not root, in a new user namespace. The kernel ends all processes in the namespaces with that
// program, and that program with this one.
func runInNamespaces(ctx context.Context, dir string) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	runtime.LockOSThread() // the kernel sends Pdeathsig when the thread that started the process ends
	defer runtime.UnlockOSThread()
	cmd := exec.CommandContext(ctx, self, os.Args[1:]...)
	cmd.Env, cmd.Stdout, cmd.Stderr = append(os.Environ(), namespaceEnv+"="+dir), os.Stdout, os.Stderr
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: syscall.CLONE_NEWNET | syscall.CLONE_NEWNS | syscall.CLONE_NEWPID,
		Pdeathsig:  syscall.SIGKILL,
	}
	if os.Geteuid() != 0 {
		cmd.SysProcAttr.Cloneflags |= syscall.CLONE_NEWUSER
		cmd.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{HostID: os.Getuid(), Size: 1}}
		cmd.SysProcAttr.GidMappings = []syscall.SysProcIDMap{{HostID: os.Getgid(), Size: 1}}
	}
	var exit *exec.ExitError
	switch err := cmd.Run(); {
	case err == nil:
		return nil
	case errors.As(err, &exit) && exit.ExitCode() == exitNoNetwork:
		return fmt.Errorf("%w: it needs root, a privileged container, or user namespaces and access to /dev/net/tun",
			errNoNetwork)
	case errors.As(err, &exit) && exit.ExitCode() > 0:
		return errReported
	case errors.As(err, &exit): // ended by a signal
		return fmt.Errorf("measuring in namespaces: %w", err)
	default:
		return fmt.Errorf("%w: %w: creating namespaces needs root or a privileged container",
			errNoNetwork, err)
	}
}

// startNetwork connects this process's network namespace to a second one with a given round-trip
// time, and starts the emulator there. The namespaces have no other network. /etc/hosts maps the
// services' real names to the emulator, so that programs need no special configuration.
func startNetwork(rtt time.Duration, dir string) (*emulator.Server, error) {
	client, err := openTUN(clientAddr)
	if err != nil {
		return nil, err
	}
	type end struct {
		tun      *os.File
		emulator *emulator.Server
		err      error
	}
	started := make(chan end)
	go func() {
		// The goroutine never ends and never unlocks its thread. Only this thread is in the
		// second namespace. The sockets that it creates remain there, with the connections
		// that they accept. Go starts no other thread or process from a locked thread.
		runtime.LockOSThread()
		var server end
		if server.err = unix.Unshare(unix.CLONE_NEWNET); server.err == nil {
			if server.tun, server.err = openTUN(serverAddr); server.err == nil {
				server.emulator, server.err = startEmulator(netip.AddrPortFrom(serverAddr, 443).String(), dir)
			}
		}
		started <- server
		select {}
	}()
	server := <-started
	if server.err != nil {
		return nil, fmt.Errorf("creating the network of the emulator: %w", server.err)
	}
	go relayOnThread(client, server.tun, rtt/2)
	go relayOnThread(server.tun, client, rtt/2)
	return server.emulator, mountHosts(filepath.Join(dir, "hosts"))
}

// packet is a delayed packet.
type packet struct {
	data []byte
	due  time.Time
}

// relay copies packets in order, each with a delay, until from returns an error. The delay is
// longer by the inaccuracy of sleep, and by the time that the machine takes to wake the reader.
func relay(from io.Reader, to io.Writer, delay time.Duration, sleep func(time.Duration)) {
	// The queue is larger than all TCP windows. A full queue would delay packets, not drop them.
	queue := make(chan packet, 4096)
	go func() {
		defer close(queue)
		for {
			data := make([]byte, mtu)
			n, err := from.Read(data)
			if err != nil {
				return
			}
			queue <- packet{data[:n], time.Now().Add(delay)}
		}
	}()
	for p := range queue {
		if left := time.Until(p.due); left > 0 {
			sleep(left)
		}
		// A packet that cannot be written is lost, as on a real network, and TCP sends it
		// again.
		_, _ = to.Write(p.data)
	}
}

// relayOnThread runs relay on a thread of its own, which sleeps in the kernel without timer slack.
// Its delay is exact to about 50 µs. Go's timers can be late by up to a millisecond, because the
// network poller's timeout is in milliseconds.
func relayOnThread(from, to *os.File, delay time.Duration) {
	runtime.LockOSThread()
	_ = unix.Prctl(unix.PR_SET_TIMERSLACK, 1, 0, 0, 0) // if this fails, the delay is 50 µs longer
	relay(from, to, delay, func(d time.Duration) {
		left := unix.NsecToTimespec(d.Nanoseconds())
		for errors.Is(unix.Nanosleep(&left, &left), unix.EINTR) {
		}
	})
}

// openTUN creates a TUN device with an address, in the network namespace of the calling thread.
func openTUN(addr netip.Addr) (*os.File, error) {
	fd, err := unix.Open("/dev/net/tun", unix.O_RDWR|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, fmt.Errorf("opening /dev/net/tun: %w", err)
	}
	if err := configure(fd, addr); err != nil {
		unix.Close(fd)
		return nil, fmt.Errorf("creating a TUN device: %w", err)
	}
	return os.NewFile(uintptr(fd), "tun"), nil
}

// configure sets the address of a new TUN device, and brings up the device and loopback.
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
		{fd, "tun0", unix.TUNSETIFF, flags(unix.IFF_TUN | unix.IFF_NO_PI)},
		{s, "tun0", unix.SIOCSIFADDR, inet(addr)},
		{s, "tun0", unix.SIOCSIFNETMASK, inet(netip.MustParseAddr("255.255.255.0"))},
		{s, "tun0", unix.SIOCSIFFLAGS, flags(unix.IFF_UP)},
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

// mountHosts mounts a file with the services' names over /etc/hosts, in this mount namespace only.
func mountHosts(file string) error {
	text := "127.0.0.1 localhost\n" + serverAddr.String() + " " + strings.Join(networkHosts, " ") + "\n"
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
