package loadgen

import (
	"context"
	"fmt"
	"time"
)

// Phase is what a run is doing.
type Phase string

// The phases of a run, in their order.
const (
	Connecting Phase = "connecting"
	WarmingUp  Phase = "warming up"
	Measuring  Phase = "measuring"
	Settling   Phase = "waiting for the last deliveries"
)

// Progress is how far a run is.
type Progress struct {
	Phase     Phase
	Elapsed   time.Duration // of the phase
	Of        time.Duration // its length, if that is known
	Connected int
	Conns     int
	Sent      uint64  // messages since the start
	Messages  float64 // a second, since the last report
	Delivered float64 // a second, since the last report
	Faults    uint64  // seen so far; what is missing is known only at the end
}

// String is the progress in one line of at most 79 characters.
func (p Progress) String() string {
	if p.Phase == Connecting {
		return fmt.Sprintf("connecting: %s of %s", thousands(uint64(p.Connected)), thousands(uint64(p.Conns)))
	}
	of := ""
	if p.Of > 0 {
		of = fmt.Sprintf(" of %.1f", p.Of.Seconds())
	}
	line := fmt.Sprintf("%s: %.1f%s s", p.Phase, p.Elapsed.Seconds(), of)
	if p.Phase != Settling {
		line += fmt.Sprintf(", %s messages/s", short(p.Messages))
	}
	line += fmt.Sprintf(", %s deliveries/s", short(p.Delivered))
	if p.Faults > 0 {
		line += fmt.Sprintf(", %s faults", short(float64(p.Faults)))
	}
	return line
}

// watch reports the progress of a phase until it is done, its time is up (0: no limit), or ctx ends.
func (r *run) watch(ctx context.Context, phase Phase, limit time.Duration, done <-chan struct{}) {
	var timeUp, tick <-chan time.Time
	if limit > 0 {
		timer := time.NewTimer(limit)
		defer timer.Stop()
		timeUp = timer.C
	}
	if r.cfg.Progress != nil && r.cfg.ProgressEvery > 0 {
		ticker := time.NewTicker(r.cfg.ProgressEvery)
		defer ticker.Stop()
		tick = ticker.C
	}
	start := r.now()
	last, lastSent, lastDelivered := start, r.sent(), r.delivered()
	for {
		select {
		case <-ctx.Done():
			return
		case <-done:
			return
		case <-timeUp:
			return
		case <-tick:
		}
		now, sent, delivered := r.now(), r.sent(), r.delivered()
		seconds := float64(max(1, now-last)) / 1e9
		r.cfg.Progress(Progress{
			Phase: phase, Elapsed: time.Duration(now - start), Of: limit,
			Connected: int(r.connected.Load()), Conns: r.cfg.Conns, Sent: sent,
			Messages: float64(sent-lastSent) / seconds, Delivered: float64(delivered-lastDelivered) / seconds,
			Faults: r.faults.sum(),
		})
		last, lastSent, lastDelivered = now, sent, delivered
	}
}

func (r *run) sent() (n uint64) {
	for _, s := range r.senders {
		n += s.sent.Load()
	}
	return n
}

func (r *run) delivered() uint64 {
	n, _ := r.pool.delivered()
	return n
}
