package natsengine

import (
	"errors"
	"time"

	"github.com/nats-io/nats.go"
)

// A NATS server that is cut off from the others of its cluster answers pings and nothing else: the connection to it holds, and is of no use. So a
// node that is not ready for patienceLeases lengths of a lease tries another server, if it knows one.

// patienceLeases is after how many it does.
const patienceLeases = 2

// elsewhere has the engine go to another server when this one is of no use.
func (e *Engine) elsewhere() {
	ticker := time.NewTicker(e.o.Lease / 4)
	defer ticker.Stop()
	well := time.Now()
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
		forbidden := errors.Is(missing, nats.ErrPermissionViolation) // by all servers alike
		if missing == nil || forbidden || len(e.nc.Servers()) < 2 {
			well = now
			continue
		}
		if now.Sub(well) > patienceLeases*e.o.Lease {
			e.o.Logger.Warn("This NATS server is of no use: trying another one", "missing", missing, "after", now.Sub(well).Round(time.Millisecond))
			well = now
			if err := e.nc.ForceReconnect(); err != nil {
				e.o.Logger.Debug("The server cannot be changed now", "error", err)
			}
		}
	}
}
