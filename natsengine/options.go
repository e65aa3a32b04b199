package natsengine

import (
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/roomcast/roomcast"
)

// Options say where NATS is and what is kept there. All nodes of a cluster have the same Prefix, Replicas, History and Window.
type Options struct {
	// URL is the addresses of NATS servers, separated by commas: nats://host:4222, tls://host:4222, with user:password@ or token@ before the host
	// where a server wants one.
	URL string

	// Server is the NATS server in this process, instead of a URL. It is closed after the engine.
	Server *Server

	// Credentials is a .creds file, with which the node says who it is. "" is none.
	Credentials string

	// TLSCA, TLSCert and TLSKey are PEM files: whom to trust instead of the system's authorities, and the node's own certificate. "" is none.
	TLSCA, TLSCert, TLSKey string

	// Node is the name of this node, which no other node has: letters, digits, "-" and "_". "" is a random one. Engine.Node adds something to it, so
	// that a node that was started again is another one: what its former life has left behind is a dead node's.
	Node string

	// Prefix begins all subjects and, in capitals, the names of all streams: clusters with different ones share a NATS without noticing each
	// other. Lower-case letters, digits, "-" and "_"; "" means "roomcast".
	Prefix string

	// Replicas is how many servers of the NATS cluster have a copy of everything that is stored; zero means 1. With 3 it outlives one of them.
	Replicas int

	// History is which rooms keep a history, and how much of it. The first that matches a room counts.
	History []roomcast.Retention

	// Window is for how long an idempotency key is remembered; zero means 5 min. A history that is kept for less remembers for as long.
	Window time.Duration

	// Lease is how long a node may be silent before it is dead; zero means 5 s. Its members stay for Linger more, in which
	// another node may take them over; zero means 60 s.
	Lease, Linger time.Duration

	// Timeout is how long a publish or a read may take, with all attempts, before it fails with roomcast.ErrUnavailable; zero means 5 s.
	Timeout time.Duration

	// Logger is told what an operator wants to know; nil is silence.
	Logger *slog.Logger

	tails rhythm // zero but in tests
}

const maxReplicas = 5

// Check reports what New would find wrong with the options, files among them, without connecting to anything.
func (o Options) Check() error {
	_, err := o.withDefaults()
	return err
}

// withDefaults returns o with everything filled in, or what makes no sense in it.
func (o Options) withDefaults() (Options, error) {
	if (o.URL == "") == (o.Server == nil) {
		return o, errors.New("natsengine: which NATS server? Set either Options.URL or Options.Server")
	}
	if err := o.checkURL(); err != nil {
		return o, err
	}
	if err := o.checkFiles(); err != nil {
		return o, err
	}
	if o.Prefix == "" {
		o.Prefix = "roomcast"
	}
	if !isName(o.Prefix) || strings.ToLower(o.Prefix) != o.Prefix {
		return o, fmt.Errorf("natsengine: prefix %q: use lower-case letters, digits, \"-\" and \"_\"", o.Prefix)
	}
	if o.Node == "" {
		o.Node = randomName(10)
	}
	if !isName(o.Node) {
		return o, fmt.Errorf("natsengine: node %q: use letters, digits, \"-\" and \"_\"", o.Node)
	}
	o.Node += "-" + randomName(6)
	if o.Replicas < 0 || o.Replicas > maxReplicas {
		return o, fmt.Errorf("natsengine: %d replicas: NATS keeps 1 to %d", o.Replicas, maxReplicas)
	}
	if o.Window < 0 || o.Lease < 0 || o.Linger < 0 || o.Timeout < 0 {
		return o, fmt.Errorf("natsengine: a time is negative: window %v, lease %v, linger %v, timeout %v", o.Window, o.Lease, o.Linger, o.Timeout)
	}
	o.Replicas = max(o.Replicas, 1)
	o.Window = orElse(o.Window, 5*time.Minute)
	o.Lease = orElse(o.Lease, 5*time.Second)
	o.Linger = orElse(o.Linger, time.Minute)
	o.Timeout = orElse(o.Timeout, 5*time.Second)
	o.tails = rhythm{orElse(o.tails.every, tailEvery), orElse(o.tails.tick, tailTick)}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	seen := map[string]bool{}
	for _, h := range o.History {
		switch {
		case !isName(h.Name):
			return o, fmt.Errorf("natsengine: history %q: name it with letters, digits, \"-\" and \"_\"", h.Name)
		case seen[h.Name]:
			return o, fmt.Errorf("natsengine: history %q: there are two of the name", h.Name)
		case h.Match == nil:
			return o, fmt.Errorf("natsengine: history %q: Match is missing", h.Name)
		}
		seen[h.Name] = true
	}
	return o, nil
}

func orElse[T comparable](value, otherwise T) T {
	var zero T
	if value == zero {
		return otherwise
	}
	return value
}
