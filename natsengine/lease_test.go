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

// While a cluster chooses who leads, no node can read or write its presence. That is no reason to send clients away, unless it lasts.
func TestPresenceIsFitWhileAClusterElects(t *testing.T) {
	p := newPresence(presenceConfig{lease: 5 * time.Second, logger: testLogger(t)})
	now := time.Now()
	is := func(when string, fit, ready bool) {
		t.Helper()
		if err := p.fitLocked(now); (err == nil) != fit {
			t.Errorf("%s: fit says %v, want nil: %v", when, err, fit)
		}
		if err := p.readyLocked(now); (err == nil) != ready {
			t.Errorf("%s: ready says %v, want nil: %v", when, err, ready)
		}
	}
	whole := func() {
		p.pulse.complete, p.pulse.proof, p.trouble = now, now, nil
		p.look(now)
	}
	is("before the connection", false, false)
	p.connected, p.trouble = true, nil
	is("before it has been read", false, false)
	whole()

	p.pulse.complete = time.Time{} // the reading begins anew
	is("at the beginning of an election", true, false)
	p.trouble = errNoAnswer
	now = now.Add(electionTime)
	is("after a long election", true, false)
	now = now.Add(time.Millisecond)
	is("after one that does not end", false, false)

	whole()
	is("when it is over", true, true)
	now = now.Add(p.cfg.lease + time.Millisecond)
	is("without a fresh lease", true, false)
	now = now.Add(electionTime)
	is("without one for long", false, false)

	whole()
	is("then", true, true)
	p.disconnected()
	is("without a connection", false, false)
	p.connected, p.trouble = true, errNoAnswer
	is("with another one", false, false)
}
