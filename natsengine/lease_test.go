package natsengine

import (
	"testing"
	"time"
)

// A node that refreshes its lease as it should, three times in its length, and whose reading hangs, is to notice that long before nats.go does.
func TestPulseNoticesAReadingThatHangs(t *testing.T) {
	const lease, patience, delivery = 5 * time.Second, 2500 * time.Millisecond, 10 * time.Millisecond
	begin := time.Now()
	for _, c := range []struct {
		name      string
		hangs     time.Duration // from then on nothing is read; 0: never
		noticed   bool
		before    time.Duration
		silent    time.Duration // from then on nothing is stored; 0: never
		elseHeard bool          // there are others, of whom something is read all the time
	}{
		{name: "all is well"},
		{name: "reads nothing from some time on", hangs: 6 * time.Second, noticed: true, before: 6*time.Second + lease},
		{name: "reads nothing at all", hangs: time.Millisecond, noticed: true, before: lease},
		{name: "nothing is stored", silent: 6 * time.Second},
		{name: "reads what others say, and its own late", hangs: 6 * time.Second, elseHeard: true},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := pulse{heard: begin}
			beat := uint64(0)
			var noticed time.Duration
			for at := time.Duration(0); at < 30*time.Second && noticed == 0; at += delivery {
				now := begin.Add(at)
				if c.hangs == 0 || at < c.hangs {
					if p.acked > p.echoed {
						p.echoed, p.heard = p.acked, now
					}
				} else if c.elseHeard {
					p.heard = now
				}
				if at%(lease/3).Truncate(delivery) == 0 && (c.silent == 0 || at < c.silent) {
					beat++
					p.stored(beat, now)
				}
				if p.stalled(now, patience) {
					noticed = at
				}
			}
			switch {
			case c.noticed && (noticed == 0 || noticed > c.before):
				t.Errorf("noticed after %v, want within %v", noticed, c.before)
			case !c.noticed && noticed != 0:
				t.Errorf("called hanging after %v", noticed)
			}
		})
	}
}
