package server

import (
	"context"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/roomcast/roomcast"
)

const (
	drainStep  = 100 * time.Millisecond // between two batches
	drainBatch = 100                    // as many are always closed at once: a small server stops without delay
)

// drain closes everybody within the time there is for it: three quarters of it to close them in batches, so that other servers, or the next
// one here, are not stormed, and the rest for their goodbyes. What waits for a client is sent before its Close frame.
func (s *Server) drain() {
	s.desk.Drain()
	start, n := time.Now(), s.connections()
	s.log.Info("draining", "connections", n, "within", s.cfg.Drain)
	ctx, cancel := context.WithDeadline(context.Background(), start.Add(s.cfg.Drain))
	defer cancel()
	pacing := s.cfg.Drain * 3 / 4
	s.hub.TellDraining(comeBackWithin(n, pacing))
	closeInBatches(ctx, append(s.hub.Server().Conns(), s.relay.Server().Conns()...), pacing)

	var servers sync.WaitGroup
	for _, rooms := range []*roomcast.Server{s.hub.Server(), s.relay.Server()} {
		servers.Go(func() {
			if rooms.Shutdown(ctx) != nil {
				s.log.Warn("clients cut off that did not close within --drain", "drain", s.cfg.Drain)
			}
		})
	}
	servers.Wait()
	s.log.Info("stopped", "after", time.Since(start).Round(time.Millisecond))
}

// comeBackWithin is over how long so many clients are to come back: at the pace at which they are closed, and over a second where that would be less. A
// few clients storm nobody, and the people behind them wait.
func comeBackWithin(connections int, pacing time.Duration) time.Duration {
	return min(pacing, max(time.Second, time.Duration(connections)*drainStep/drainBatch))
}

// closeInBatches closes connections in random order, evenly over a time.
func closeInBatches(ctx context.Context, conns []*roomcast.Conn, within time.Duration) {
	rand.Shuffle(len(conns), func(i, j int) { conns[i], conns[j] = conns[j], conns[i] })
	steps := int(within/drainStep) + 1
	batch := max(drainBatch, (len(conns)+steps-1)/steps)
	ticker := time.NewTicker(drainStep)
	defer ticker.Stop()
	for len(conns) > 0 {
		for _, c := range conns[:min(batch, len(conns))] {
			_ = c.Close(roomcast.CloseGoingAway, "server going away") // a code that may be sent
		}
		if conns = conns[min(batch, len(conns)):]; len(conns) == 0 {
			return
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
	}
}
