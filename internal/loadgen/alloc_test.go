package loadgen

import (
	"strings"
	"testing"

	"github.com/gobwas/ws"
)

// batch is a run that nobody connects to, one of its members, and what a read of 64 KiB may bring it.
func batch(t testing.TB, protocol bool) (m *member, n uint64, frames func() []byte) {
	r := newRun(Config{Conns: 2, Rooms: 1, Senders: 1, Window: 1000, Size: 128, Protocol: protocol})
	r.people()
	r.begin.Store(0)
	m = r.members[1]
	s := r.senders[0]
	var payload []byte
	if protocol {
		s.envelope = envelope{[]byte(messageBegins + `"room":"` + m.room.name + `"`), []byte(`,"from":{"connection":"` + strings.Repeat("c", 13) + `"`)}
		payload = append(payload, string(s.envelope.room)+`,"epoch":"k3v9","offset":57`+string(s.envelope.from)+dataBegins...)
	}
	header := 4 + len(payload) // in a frame of 126 bytes or more
	frame := ws.MustCompileFrame(ws.NewTextFrame(append(appendHeader(payload, r.word, stamp{}), r.filling...)))
	n = readBuffer / uint64(len(frame))
	seq := uint64(0)
	stream := make([]byte, 0, readBuffer)
	return m, n, func() []byte {
		stream = stream[:0]
		for range n {
			seq++
			stream = append(stream, frame...)
			at := len(stream) - len(frame) + header
			appendHeader(stream[at:at], r.word, stamp{seq: seq})
		}
		s.sent.Store(seq)
		s.startRing()
		return stream[:len(stream)-1] // the last frame is cut, and completed below
	}
}

// TestNoAllocations holds that deliveries cost no allocation, even where a read ends within a frame.
func TestNoAllocations(t *testing.T) {
	for _, protocol := range []bool{false, true} {
		noAllocations(t, protocol)
	}
}

func noAllocations(t *testing.T, protocol bool) {
	m, n, frames := batch(t, protocol)
	w := m.run.pool.get()
	end := []byte{m.frames.filling[len(m.frames.filling)-1]}
	ring := testing.AllocsPerRun(10, func() { m.run.senders[0].startRing() })
	got := testing.AllocsPerRun(10, func() {
		if err := m.consume(w, frames()); err != nil {
			t.Error(err)
		}
		if err := m.consume(w, end); err != nil {
			t.Error(err)
		}
	})
	if got > ring {
		t.Errorf("%v allocations for a read, %v of them the test's own; want no others", got, ring)
	}
	if f := m.run.faults.sum(); f != 0 || m.got.Load() != 11*n {
		t.Errorf("%d deliveries, %d faults; want all clean", m.got.Load(), f)
	}
}

func BenchmarkDelivery(b *testing.B) {
	b.Run("raw", func(b *testing.B) { deliveries(b, false) })
	b.Run("protocol", func(b *testing.B) { deliveries(b, true) })
}

func deliveries(b *testing.B, protocol bool) {
	m, _, frames := batch(b, protocol)
	w := m.run.pool.get()
	end := []byte{m.frames.filling[len(m.frames.filling)-1]}
	for b.Loop() {
		b.StopTimer()
		p := frames()
		b.StartTimer()
		_ = m.consume(w, p)
		_ = m.consume(w, end)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(m.got.Load()), "ns/delivery")
}
