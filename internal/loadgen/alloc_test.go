package loadgen

import (
	"testing"

	"github.com/gobwas/ws"
)

// batch is a run that nobody connects to, one of its members, and what a read of 64 KiB may bring it.
func batch(t testing.TB) (m *member, s *sender, frames func() []byte) {
	r := newRun(Config{Conns: 2, Rooms: 1, Senders: 1, Window: 1000, Size: 128})
	r.people()
	r.begin.Store(0)
	m, s = r.members[1], r.senders[0]
	const n = readBuffer / 132
	seq := uint64(0)
	stream := make([]byte, 0, readBuffer)
	frame := ws.MustCompileFrame(ws.NewTextFrame(append(appendHeader(nil, r.word, stamp{}), r.filling...)))
	const header = 4 // of a frame of 128 bytes
	return m, s, func() []byte {
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
	m, _, frames := batch(t)
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
	if f := m.run.faults.sum(); f != 0 || m.got.Load() != 11*(readBuffer/132) {
		t.Errorf("%d deliveries, %d faults; want all clean", m.got.Load(), f)
	}
}

func BenchmarkDelivery(b *testing.B) {
	m, _, frames := batch(b)
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
