package server

import (
	"context"
	"log/slog"
	"net"
	"strings"
	"testing"
)

// TestReloadKeepsTheLock holds that a server that other machines can reach does not lose its last key, whatever address the new settings name.
func TestReloadKeepsTheLock(t *testing.T) {
	locked := settings(t, "--addr=0.0.0.0:0", "--token-secret="+strings.Repeat("x", 32))
	s, err := New(locked, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", "0.0.0.0:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- s.Run(ctx, listener) }()
	for !s.reachable.Load() { // Run has begun
		select {
		case err := <-ended:
			t.Fatal(err)
		default:
		}
	}
	for _, addr := range []string{"127.0.0.1:0", "localhost:0"} {
		if err := s.Reload(settings(t, "--addr="+addr)); err == nil || !s.gate.Required() {
			t.Errorf("%s without keys: %v, want an error and the old keys", addr, err)
		}
	}
	if err := s.Reload(settings(t, "--addr=127.0.0.1:0", "--token-secret="+strings.Repeat("y", 32))); err != nil {
		t.Errorf("other keys: %v", err)
	}
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}
