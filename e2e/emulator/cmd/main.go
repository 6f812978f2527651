// Command cmd runs the emulator as a separate process, for tests and experiments.
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"sync"
	"syscall"

	"github.com/ecr-oidc/docker-credential-ecr-oidc/e2e/emulator"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "server:", err)
		os.Exit(1)
	}
}

// run starts the default emulator, writes what its clients need into a folder
// (ca.pem, github.env, circleci.env, emulator.env), prints "ready", and serves
// until it is told to end. Each call becomes a line of calls.jsonl.
func run() error {
	addr := flag.String("addr", "127.0.0.1:443", "`address` of the TLS listener")
	plain := flag.String("plain", "127.0.0.1:0", "`address` of the HTTP listener, which is the proxy too")
	dir := flag.String("dir", ".", "`folder` to write into")
	flag.Parse()

	calls, err := os.OpenFile(filepath.Join(*dir, "calls.jsonl"), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	defer calls.Close()
	var mu sync.Mutex
	lines := json.NewEncoder(calls)
	w, err := emulator.Start(emulator.Options{Addr: *addr, PlainAddr: *plain, OnCall: func(c emulator.Call) {
		mu.Lock()
		defer mu.Unlock()
		lines.Encode(c)
	}})
	if err != nil {
		return err
	}
	defer w.Close()
	w.AddDefaults()
	files := map[string][]byte{
		"ca.pem":       w.CAPEM(),
		"github.env":   emulator.EnvFile(w.GitHubRealHost(emulator.GitHubJob{})),
		"circleci.env": emulator.EnvFile(w.Circle(emulator.CircleJob{})),
		"emulator.env": emulator.EnvFile(map[string]string{
			"EMULATOR_ADDR": w.Addr(), "EMULATOR_PROXY": w.ProxyURL(), "EMULATOR_ADMIN": w.PlainURL("_emulator"),
		}),
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(*dir, name), text, 0o600); err != nil {
			return err
		}
	}
	fmt.Println("ready")
	end := make(chan os.Signal, 1)
	signal.Notify(end, os.Interrupt, syscall.SIGTERM)
	<-end
	return nil
}
