// Command emulator runs the emulator as a separate process, for experiments.
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
		fmt.Fprintln(os.Stderr, "emulator:", err)
		os.Exit(1)
	}
}

// run starts an emulator with the defaults. It writes the files that clients need to a directory
// (ca.pem, github.env, circleci.env, emulator.env), prints "ready", and serves until it receives a
// signal. It appends each call to calls.jsonl.
func run() error {
	addr := flag.String("addr", "127.0.0.1:443", "`address` of the TLS listener")
	plain := flag.String("plain", "127.0.0.1:0", "`address` of the HTTP listener, which is also the proxy")
	dir := flag.String("dir", ".", "`directory` for the files")
	flag.Parse()

	calls, err := os.OpenFile(filepath.Join(*dir, "calls.jsonl"), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	defer calls.Close()
	var mu sync.Mutex
	lines := json.NewEncoder(calls)
	server, err := emulator.Start(emulator.Options{Addr: *addr, PlainAddr: *plain,
		OnCall: func(c emulator.Call) {
			mu.Lock()
			defer mu.Unlock()
			lines.Encode(c)
		}})
	if err != nil {
		return err
	}
	defer server.Close()
	server.AddDefaults()
	files := map[string][]byte{
		"ca.pem":       server.CAPEM(),
		"github.env":   emulator.EnvFile(server.GitHubRealHost(emulator.GitHubJob{})),
		"circleci.env": emulator.EnvFile(server.Circle(emulator.CircleJob{})),
		"emulator.env": emulator.EnvFile(map[string]string{
			"EMULATOR_ADDR": server.Addr(), "EMULATOR_PROXY": server.ProxyURL(),
			"EMULATOR_ADMIN": server.PlainURL("_emulator"),
		}),
	}
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(*dir, name), content, 0o600); err != nil {
			return err
		}
	}
	fmt.Println("ready")
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, os.Interrupt, syscall.SIGTERM)
	<-stop
	return nil
}
