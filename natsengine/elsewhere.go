package natsengine

import (
	"errors"
	"time"

	"github.com/nats-io/nats.go"
)

// A NATS server that is cut off from the others of its cluster answers pings and nothing else: the connection to it holds, and is of no use. So a
// node that is not ready for patienceLeases lengths of a lease tries another server, if it knows one. If none was of use it takes twice as long for the next round,
// and so on: every change breaks off what is under way, and there may be something missing that no server has.

const (
	patienceLeases = 2
	mostDoublings  = 6
)

// elsewhere has the engine go to another server when this one is of no use.
func (e *Engine) elsewhere() {
	ticker := time.NewTicker(e.o.Lease / 4)
	defer ticker.Stop()
	well, tried := time.Now(), 0
	for {
		select {
		case <-ticker.C:
		case <-e.ctx.Done():
			return
		}
		now := time.Now()
		if !e.calls.up.Load() {
			well = now
			continue
		}
		missing := e.Ready()
		if missing == nil {
			missing = e.presence.ready() // without delay: it takes patience enough below
		}
		forbidden := errors.Is(missing, nats.ErrPermissionViolation) // by all servers alike
		servers := len(e.nc.Servers())
		if missing == nil {
			tried = 0
		}
		if missing == nil || forbidden || servers < 2 {
			well = now
			continue
		}
		if now.Sub(well) > patienceLeases*e.o.Lease<<min(tried/servers, mostDoublings) {
			tried++
			e.o.Logger.Warn("This NATS server is of no use: trying another one", "missing", missing, "after", now.Sub(well).Round(time.Millisecond))
			well = now
			if err := e.nc.ForceReconnect(); err != nil {
				e.o.Logger.Debug("The server cannot be changed now", "error", err)
			}
		}
	}
}
