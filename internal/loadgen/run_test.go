package loadgen

import (
	"context"
	"errors"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gobwas/ws"
)

// expectFaults compares all that is counted, but for the deliveries that were right.
func expectFaults(t *testing.T, r *Result, want Faults) {
	t.Helper()
	got := r.Faults
	got.Checked = 0
	if got != want {
		t.Errorf("faults %+v, want %+v; complaints %q", got, want, r.Complaints)
	}
}

func TestClosedLoop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{t: t}
		r := f.run(t.Context(), func(c *Config) { c.Conns, c.Rooms, c.Senders, c.Messages = 12, 3, 5, 101 })
		if r.Messages.Total != 101 || r.Deliveries.Total != 303 || r.Bytes.Total != 30300 || r.Faults.Checked != 303 || r.Stopped {
			t.Errorf("result %+v, want 101 messages to 3 others each", r)
		}
		expectFaults(t, r, Faults{})
		if r.Latency == nil || r.Latency.Max != 0 || r.Lateness != nil {
			t.Errorf("latency %v, lateness %v; want 0, since no time has passed, and none", r.Latency, r.Lateness)
		}
	})
}

// TestWindow holds that a sender sends as many messages as the window has before the first has arrived, and not one more.
func TestWindow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const window = 4
		waiting, most := [][]byte{}, 0
		f := &fake{t: t}
		f.mangle = func(_ *fakeMember, n int, frame []byte) [][]byte {
			waiting = append(waiting, frame)
			if len(waiting) < window {
				return nil
			}
			f.mu.Unlock()
			<-time.After(time.Millisecond) // for one too many
			f.mu.Lock()
			most = max(most, f.got)
			all := waiting
			waiting = nil
			return all
		}
		r := f.run(t.Context(), func(c *Config) { c.Conns, c.Messages = 2, 40 })
		expectFaults(t, r, Faults{})
		if most != 40 || r.Seconds > 0.1 {
			t.Errorf("%d messages in %v s; want 40 with the window never the wrong size", most, r.Seconds)
		}
		if got := r.Latency.Max; got < 999 || got > 1001 {
			t.Errorf("latency at most %v µs, want the millisecond that a full window waits", got)
		}
	})
}

// TestOpenLoopKeepsTime runs for an hour, in no time.
func TestOpenLoopKeepsTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{t: t}
		r := f.run(t.Context(), func(c *Config) {
			c.Conns, c.Senders, c.Window, c.Rate, c.Messages = 3, 2, 0, 10, 0
			c.Duration, c.Warmup = time.Hour, time.Minute
		})
		if r.Messages.Total != 36000 || r.Messages.Second != 10 || r.Deliveries.Total < 71998 || r.Deliveries.Total > 72002 || r.Seconds != 3600 {
			t.Errorf("%+v, %+v in %v s; want 36,000 messages to two others each in an hour, give or take those of its first and last instant", r.Messages, r.Deliveries, r.Seconds)
		}
		if r.Faults.Checked != 2*36600 {
			t.Errorf("checked %d, want those of the warm-up as well: %d", r.Faults.Checked, 2*36600)
		}
		expectFaults(t, r, Faults{})
		if r.Lateness == nil || r.Lateness.Max != 0 || r.Latency.Max != 0 {
			t.Errorf("lateness %v, latency %v; want 0", r.Lateness, r.Latency)
		}
	})
}

// TestOpenLoopCountsFromTheSchedule holds that what could not be sent in time is late from when it was due.
func TestOpenLoopCountsFromTheSchedule(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{t: t, before: func(n int) {
			if n == 0 {
				<-time.After(time.Second) // nothing is read meanwhile, and a pipe holds nothing
			}
		}}
		r := f.run(t.Context(), func(c *Config) { c.Conns, c.Window, c.Rate, c.Messages = 2, 0, 10, 20 })
		expectFaults(t, r, Faults{})
		if got := r.Latency.Max / 1e6; got < 0.99 || got > 1.01 {
			t.Errorf("latency at most %v s, want the second of the first message", got)
		}
		if got := r.Latency.P50 / 1e6; got > 0.11 {
			t.Errorf("half of the latencies are at most %v s, want about 0: ten were late by 0.9 s to 0, ten were on time", got)
		}
		if got := r.Lateness.Max / 1e6; got < 0.79 || got > 0.91 {
			t.Errorf("sent late by %v s, want that of what was due while the second one was written", got)
		}
	})
}

// TestFaults holds that what a faulty server does is counted, and nothing else.
func TestFaults(t *testing.T) {
	for _, edit := range map[string]func(*Config){
		"closed loop": nil,
		"open loop":   func(c *Config) { c.Window, c.Rate = 0, 1000 },
	} {
		synctest.Test(t, func(t *testing.T) {
			f := &fake{t: t, mangle: dropDoubleSwap}
			r := f.run(t.Context(), edit) // 100 messages to 4 others
			expectFaults(t, r, Faults{Missing: 40, Duplicate: 40, OutOfOrder: 40})
			if r.Messages.Total != 100 || r.Deliveries.Total != 360 || r.Faults.Checked != 360 {
				t.Errorf("%d messages, %d deliveries, want 100 and 360", r.Messages.Total, r.Deliveries.Total)
			}
			if got := r.Faults.Fault(); got != "40 missing, 40 duplicate, 40 out of order" {
				t.Errorf("fault %q", got)
			}
		})
	}
}

// TestAllLost holds that a closed loop goes on after the timeout when nothing of its window arrives.
func TestAllLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{t: t, mangle: func(*fakeMember, int, []byte) [][]byte { return nil }}
		r := f.run(t.Context(), func(c *Config) { c.Messages = 12 })
		expectFaults(t, r, Faults{Missing: 48})
		if r.Messages.Total != 12 || r.Deliveries.Total != 0 || r.Latency != nil {
			t.Errorf("%+v, %+v, %v; want 12 messages and nothing delivered", r.Messages, r.Deliveries, r.Latency)
		}
	})
}

func TestDamagedAndMisdirected(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{t: t, mangle: func(_ *fakeMember, n int, frame []byte) [][]byte {
			switch n {
			case 1:
				frame[len(frame)-1] ^= 1
			case 2:
				frame[2+wordBytes] = '!'
			case 3:
				return [][]byte{ws.MustCompileFrame(ws.NewTextFrame([]byte("hello")))}
			case 4: // a number that was never sent
				copy(frame[2+2*wordBytes:], appendWord(nil, 1e6))
			}
			return [][]byte{frame}
		}}
		r := f.run(t.Context(), func(c *Config) { c.Conns, c.Window = 2, 10 })
		expectFaults(t, r, Faults{Damaged: 4, Missing: 4})
	})
	synctest.Test(t, func(t *testing.T) {
		f := &fake{t: t, route: func(from, to *fakeMember) bool { return true }}
		r := f.run(t.Context(), func(c *Config) { c.Conns, c.Rooms = 4, 2 })
		expectFaults(t, r, Faults{Misdirected: 300}) // to the sender itself and to the two of the other room
		if r.Deliveries.Total != 100 {
			t.Errorf("%d deliveries, want 100", r.Deliveries.Total)
		}
	})
}

// TestClosedByServer holds that a lost connection is told with its reason, and that the others go on.
func TestClosedByServer(t *testing.T) {
	for _, c := range []struct {
		last []byte
		want string
	}{
		{ws.MustCompileFrame(ws.NewCloseFrame(ws.NewCloseFrameBody(1013, "too slow"))), "closed by the server with 1013 too slow"},
		{ws.MustCompileFrame(ws.NewCloseFrame(nil)), "closed by the server with 1005"},
		{nil, "hung up by the server without a Close frame"},
		{[]byte{0x81, 0x80}, "masked"},
	} {
		synctest.Test(t, func(t *testing.T) {
			f := &fake{t: t}
			f.mangle = func(to *fakeMember, n int, frame []byte) [][]byte {
				switch {
				case to == f.members[2] && n == 20:
					return [][]byte{frame, c.last}
				case to == f.members[2] && n > 20:
					return nil
				}
				return [][]byte{frame}
			}
			r := f.run(t.Context(), func(c *Config) { c.Senders = 2 })
			want := Faults{Closed: 1}
			if strings.Contains(c.want, "masked") {
				want.Damaged = 1
			}
			expectFaults(t, r, want)
			if r.Messages.Total < 50 { // the lost one may have been a sender
				t.Errorf("%d messages, want the others to go on", r.Messages.Total)
			}
			if len(r.Complaints) != 1 || !strings.Contains(r.Complaints[0], c.want) || !strings.Contains(r.Complaints[0], " of 5: ") {
				t.Errorf("complaints %q, want one with %q", r.Complaints, c.want)
			}
		})
	}
}

func TestPingsAreAnswered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{t: t, mangle: func(_ *fakeMember, n int, frame []byte) [][]byte {
			return [][]byte{ws.MustCompileFrame(ws.NewPingFrame([]byte{'a' + byte(n)})), frame}
		}}
		r := f.run(t.Context(), func(c *Config) { c.Conns, c.Messages, c.Window = 2, 3, 1 })
		expectFaults(t, r, Faults{})
		var pongs string
		for i := range 2 {
			pongs += strings.Join(f.member(i).pongs, "")
		}
		if pongs != "abc" {
			t.Errorf("pongs %q, want abc", pongs)
		}
	})
}

// TestStoppedWaiting holds that Ctrl-C ends the wait for the last deliveries, and that these are not called missing.
func TestStoppedWaiting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		f := &fake{t: t, mangle: func(_ *fakeMember, n int, frame []byte) [][]byte {
			if n == 7 || n >= 50 {
				return nil
			}
			return [][]byte{frame}
		}}
		r := f.run(ctx, func(c *Config) {
			c.Conns, c.Window, c.Timeout, c.ProgressEvery = 2, 100, time.Hour, time.Second
			c.Progress = func(p Progress) {
				if p.Phase == Settling {
					cancel()
				}
			}
		})
		expectFaults(t, r, Faults{Missing: 1})
		if !r.Stopped || r.Faults.Checked != 49 {
			t.Errorf("stopped %v, %d checked; want 49 before it was", r.Stopped, r.Faults.Checked)
		}
	})
}

// TestTooSlow holds that what was due and could not be sent is told.
func TestTooSlow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{t: t, before: func(int) { <-time.After(time.Second) }}
		r := f.run(t.Context(), func(c *Config) {
			c.Conns, c.Window, c.Rate, c.Messages, c.Duration, c.Size = 2, 0, 10, 0, 10*time.Second, writeBuffer
		})
		expectFaults(t, r, Faults{})
		if r.Messages.Total < 9 || r.Messages.Total > 15 || r.Messages.Total+r.Unsent != 100 {
			t.Errorf("%d messages sent and %d not, want about 10 of 100", r.Messages.Total, r.Unsent)
		}
	})
}

// TestStopped holds that a run that is stopped says so and tells what there is.
func TestStopped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		f := &fake{t: t}
		r := f.run(ctx, func(c *Config) { c.Window, c.Rate, c.Messages, c.Duration = 0, 7, 0, time.Hour })
		expectFaults(t, r, Faults{})
		if !r.Stopped || r.Seconds != 10 || r.Messages.Total < 70 || r.Messages.Total > 71 {
			t.Errorf("stopped %v after %v s and %d messages, want after 10 s and 70", r.Stopped, r.Seconds, r.Messages.Total)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		f := &fake{t: t}
		c := f.config(func(c *Config) {
			c.Dial = func(ctx context.Context, _, _ string) (net.Conn, error) {
				<-ctx.Done()
				return nil, ctx.Err()
			}
		})
		if _, err := newRun(c).execute(ctx, newClockAlarm); !errors.Is(err, ErrStopped) {
			t.Errorf("error %v, want %v", err, ErrStopped)
		}
	})
}

// TestProgress holds that each phase is reported, in its order, with figures of its own time.
func TestProgress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var lines []string
		f := &fake{t: t, mangle: func(_ *fakeMember, n int, frame []byte) [][]byte {
			if n == 39 {
				return nil
			}
			return [][]byte{frame}
		}}
		f.run(t.Context(), func(c *Config) {
			c.Conns, c.Window, c.Rate, c.Messages, c.Duration, c.Warmup = 2, 0, 10, 0, 3*time.Second, time.Second
			c.Progress, c.ProgressEvery = func(p Progress) { lines = append(lines, p.String()) }, 850*time.Millisecond
		})
		got := strings.Join(lines, "\n")
		for _, want := range []string{
			"warming up: 0.8 of 1.0 s, ", " deliveries/s\nmeasuring: 0.8 of 3.0 s, ",
			"measuring: 2.5 of 3.0 s, ",
			"\nwaiting for the last deliveries: 0.8 s, 0 deliveries/s\n",
		} {
			if !strings.Contains(got, want) {
				t.Errorf("progress\n%s\nwant in it\n%s", got, want)
			}
		}
	})
}
