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
	"time"

	"github.com/alecthomas/kong"

	"github.com/roomcast/roomcast/internal/config"
	"github.com/roomcast/roomcast/internal/server"
)

type serveCmd struct {
	config.Serve
	JSON bool `name:"json" help:"Say where it listens as one line of JSON, {\"addr\":…,\"url\":…}."`
}

// Help is what the flags cannot say.
func (*serveCmd) Help() string {
	return `A flag wins over its environment variable, that over the configuration file, that over the default; roomcast check shows
what comes out. SIGHUP reads the file again: what can change while serving changes, nobody is dropped, and a file with
a fault in it changes nothing.

  roomcast serve --addr 0.0.0.0:8080 --allowed-origin https://app.example.com
  roomcast serve --config roomcast.yaml`
}

func (*serveCmd) loads() {}

// Run serves until SIGINT or SIGTERM.
func (c *serveCmd) Run(command *kong.Context, fault settingsFault) error {
	settings, problems := load(&c.Serve, command, fault)
	if len(problems) > 0 {
		return exitError{exitUsage, firstOf(problems)}
	}
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
	if !addr.IP.IsLoopback() && !c.Closed() { // a name that is not what it looks like; of addresses, load has said so
		_ = listener.Close() // nobody has connected
		return exitError{exitUsage, c.TooOpen()}
	}
	s, err := server.New(&c.Serve, logger)
	if err != nil {
		_ = listener.Close() // nobody has connected
		return exitError{exitUsage, err}
	}
	defer reloadOnHangup(s, logger, settings)() // before anybody knows that it listens, for they may send the signal at once
	switch {
	case c.Tokens():
		logger.Info("listening", "addr", addr.String(), "open_to", "clients with a token")
	case addr.IP.IsLoopback():
		logger.Info("listening", "addr", addr.String(), "open_to", "this machine only, since there are no keys for tokens")
	default:
		logger.Warn("listening: anyone who can reach this address can join any room, for there are no keys for tokens", "addr", addr.String())
	}
	if c.JSON {
		printJSON(map[string]string{"addr": addr.String(), "url": home(addr)})
	} else {
		fmt.Printf("Open %s in two browser tabs and chat. Ctrl-C stops.\n", home(addr))
	}
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
		first, ok := <-signals
		if !ok {
			return
		}
		at := time.Now()
		cancel()
		for again := range signals {
			if second(first, again, time.Since(at)) {
				fmt.Fprintln(os.Stderr, "roomcast: stopped at once by a second signal")
				os.Exit(exitFailed)
			}
		}
	}()
	return ctx, func() {
		signal.Stop(signals)
		close(signals)
	}
}

// second reports whether a signal is one of its own, and not the first once more: timeout(1) and some supervisors send theirs to the process and to its
// group, and would cut off the clients that were being seen out.
func second(first, again os.Signal, later time.Duration) bool {
	return again != first || later >= 250*time.Millisecond
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
