package server

import (
	"context"
	"runtime/debug"
	"time"
)

const (
	tidyEvery = time.Second // how often the number of connections is looked at
	tidyAfter = 1000        // by how much it has to have changed for tidying to be worth it
)

// tidy gives memory back to the system when many connections have come or gone and it has become quiet: what their upgrades have
// left behind would stay until the next collection, which an idle server does not come to. It returns when ctx ends.
func tidy(ctx context.Context, connections func() int) {
	ticker := time.NewTicker(tidyEvery)
	defer ticker.Stop()
	tidied, before := 0, 0
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		now := connections()
		quiet := abs(now-before) < tidyAfter/10
		if before = now; quiet && abs(now-tidied) >= tidyAfter {
			debug.FreeOSMemory()
			tidied = now
		}
	}
}

func abs(n int) int { return max(n, -n) }
