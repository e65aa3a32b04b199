package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/signal"
	"runtime"
	"syscall"

	"github.com/roomcast/roomcast/internal/config"
	"github.com/roomcast/roomcast/internal/server"
)

type serveCmd struct {
	config.Serve
}

// Run serves until SIGINT or SIGTERM.
func (c *serveCmd) Run() error {
	signal.Ignore(syscall.SIGPIPE) // who reads our output may go away; the rooms stay
	ctx, release := untilSignal()
	defer release()

	lines := config.NewLogWriter(os.Stderr)
	defer lines.Close()
	logger := c.Logger(lines)
	listener, err := net.Listen("tcp", c.Addr)
	if err != nil {
		return cannotListen(c.Addr, err)
	}
	addr := listener.Addr().(*net.TCPAddr)
	if !addr.IP.IsLoopback() && !c.Tokens() && !c.AllowAnonymous {
		_ = listener.Close() // nobody has connected
		return exitError{exitUsage, fmt.Errorf("--addr %s: other machines can reach it, and there are no keys for tokens: give some "+
			"(--token-secret, --token-key-file, --token-jwks-url), or let anybody join any room with --allow-anonymous", c.Addr)}
	}
	s, err := server.New(&c.Serve, logger)
	if err != nil {
		_ = listener.Close() // nobody has connected
		return exitError{exitUsage, err}
	}
	switch {
	case c.Tokens():
		logger.Info("listening", "addr", addr.String(), "open_to", "clients with a token")
	case addr.IP.IsLoopback():
		logger.Info("listening", "addr", addr.String(), "open_to", "this machine only, since there are no keys for tokens")
	default:
		logger.Warn("listening: anyone who can reach this address can join any room, for there are no keys for tokens", "addr", addr.String())
	}
	fmt.Printf("Open %s in two browser tabs and chat. Ctrl-C stops.\n", home(addr))
	return s.Run(ctx, listener)
}

// home is where a browser on this machine finds the page.
func home(addr *net.TCPAddr) string {
	host := addr.String()
	if addr.IP.IsUnspecified() {
		host = fmt.Sprintf("localhost:%d", addr.Port)
	}
	return "http://" + host + "/"
}

// untilSignal returns a context that ends with the first SIGINT or SIGTERM; the second one ends the process at once. From release
// on signals do what they do by default.
func untilSignal() (ctx context.Context, release func()) {
	ctx, cancel := context.WithCancel(context.Background())
	signals := make(chan os.Signal, 2) // closed by release
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	go func() {
		defer cancel()
		if _, ok := <-signals; !ok {
			return
		}
		cancel()
		if _, ok := <-signals; ok {
			fmt.Fprintln(os.Stderr, "roomcast: stopped at once by a second signal")
			os.Exit(exitFailed)
		}
	}()
	return ctx, func() {
		signal.Stop(signals)
		close(signals)
	}
}

// cannotListen says in one line what is wrong with the address and what to do.
func cannotListen(addr string, err error) error {
	reason, remedy := err, "choose another address with --addr"
	var op *net.OpError
	if errors.As(err, &op) {
		reason = op.Err
	}
	var call *os.SyscallError
	if errors.As(reason, &call) {
		reason = call.Err
	}
	const windowsInUse = syscall.Errno(10048) // WSAEADDRINUSE
	switch {
	case errors.Is(err, syscall.EADDRINUSE), runtime.GOOS == "windows" && errors.Is(err, windowsInUse):
		remedy = "stop the other program or choose another address with --addr"
	case errors.Is(err, syscall.EACCES):
		remedy = "choose a port above 1023 with --addr"
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		remedy = "choose an address of this machine with --addr"
	}
	return fmt.Errorf("cannot listen on %s: %w; %s", addr, reason, remedy)
}
