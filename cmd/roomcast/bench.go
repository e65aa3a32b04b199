package main

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"os"

	"github.com/alecthomas/kong"

	"github.com/roomcast/roomcast/internal/config"
	"github.com/roomcast/roomcast/internal/loadgen"
	"github.com/roomcast/roomcast/internal/server"
)

type benchCmd struct {
	config.Bench
}

// Help is what the flags cannot say.
func (*benchCmd) Help() string {
	return `Every message carries its sender, sequence number and time, and every member of a room checks every sender in it: the result says
what was missing, doubled, out of order or damaged. Exit status: 0 clean, 1 a fault was seen or a connection lost, 2 nothing could be measured.

A first look, at a server of its own; one big room, as much as it takes; latency at 40 messages a second:

  roomcast bench
  roomcast bench ws://127.0.0.1:8080 --conns 1000 --senders 4
  roomcast bench ws://127.0.0.1:8080 --conns 1000 --rate 40 --duration 30s

The generator takes about as much CPU as a fast server. What a server can do on one processor is measured with an independent
generator on another one: see bench/ in the source.`
}

// Run loads the server and prints what it has found.
func (c *benchCmd) Run() error {
	ctx, release := untilSignal()
	defer release()
	load := c.Load()
	if load.URL == "" {
		own, err := startOwn()
		if err != nil {
			return exitError{exitUsage, err}
		}
		defer own.stop()
		load.URL, load.OwnServer, load.PIDs = own.url, true, []int{os.Getpid()}
		fmt.Fprintf(os.Stderr, "No address given: started a server in this process, %s.\n", own.url)
	}
	progress := newProgress(os.Stderr, c.NoProgress)
	load.Progress, load.ProgressEvery = progress.show, progress.every
	result, err := loadgen.Run(ctx, load)
	progress.clear()
	if err != nil {
		return exitError{exitUsage, config.FlagError(err)}
	}
	write := result.WriteTable
	if c.JSON {
		write = result.WriteJSON
	}
	if err := write(os.Stdout); err != nil {
		return err
	}
	if fault := result.Faults.Fault(); fault != "" {
		return fmt.Errorf("faults: %s", fault)
	}
	return nil
}

// ownServer is a server in this process.
type ownServer struct {
	url  string
	stop func() // ends it and waits for it
}

// startOwn serves on a free port of the loopback, as `roomcast serve` does by default.
func startOwn() (*ownServer, error) {
	var cfg config.Serve
	if err := kong.ApplyDefaults(&cfg); err != nil {
		return nil, err
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, cannotListen("127.0.0.1:0", err)
	}
	cfg.Access = config.Access{} // what is measured is the server, not its limits
	s, err := server.New(&cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		_ = listener.Close() // nobody has connected
		return nil, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{}) // closed when it has ended
	go func() {
		defer close(done)
		_ = s.Run(ctx, listener) // the generator finds out
	}()
	return &ownServer{"ws://" + listener.Addr().String(), func() {
		cancel()
		<-done
	}}, nil
}
