//go:build unix

package chaos

import (
	"context"
	"sync"
	"testing"
	"time"
)

// health watches whether the server nodes say that they are ready.
type health struct {
	t    *testing.T
	stop context.CancelFunc
	done chan struct{} // closed when it has ended; then out may be read

	out [size]time.Duration // the longest time without an answer that all is well
}

// tooLong is for how long a node may not be ready without its being written down.
const tooLong = 5 * time.Second

// watchHealth begins to watch. longest ends it.
func (c *cluster) watchHealth() *health {
	ctx, cancel := context.WithCancel(c.t.Context())
	h := &health{t: c.t, stop: cancel, done: make(chan struct{})}
	go func() {
		defer close(h.done)
		var tasks sync.WaitGroup
		for i, s := range c.servers {
			tasks.Go(func() { h.watch(ctx, i, s) })
		}
		tasks.Wait()
	}()
	c.t.Cleanup(func() { h.longest() })
	return h
}

// watch looks at one node until ctx is over.
func (h *health) watch(ctx context.Context, i int, s *serverNode) {
	ticker := time.NewTicker(200 * time.Millisecond)
	defer ticker.Stop()
	last, missing := time.Now(), ""
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		if err := well(ctx, "http://"+s.addr+"/readyz"); err != nil {
			missing = err.Error()
			continue
		}
		out := time.Since(last)
		if out > tooLong && ctx.Err() == nil {
			h.t.Logf("          (%s): %s was not ready for %v; at last: %s", time.Now().Format("15:04:05.000"), s.name, out.Round(10*time.Millisecond), missing)
		}
		h.out[i] = max(h.out[i], out)
		last = time.Now()
	}
}

// longest ends it and returns the longest time for which a node was not ready.
func (h *health) longest() time.Duration {
	h.stop()
	<-h.done
	return max(h.out[0], h.out[1], h.out[2])
}
