package roomcast

import (
	"fmt"
	"runtime"
	"testing"
	"time"
)

// BenchmarkRoom is a broadcast to rooms of a thousand to a million members whose links move nothing: what a member costs in memory
// and a broadcast in time, and how long a garbage collection stops everything.
//
//	go test -run '^$' -bench Room -benchtime 50x .
func BenchmarkRoom(b *testing.B) {
	for _, members := range []int{1_000, 10_000, 100_000, 1_000_000} {
		b.Run(fmt.Sprintf("members=%d", members), func(b *testing.B) { benchmarkRoom(b, members) })
	}
}

func benchmarkRoom(b *testing.B, members int) {
	var empty, full, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&empty)
	s, conns := roomOf(b, members)
	runtime.GC()
	runtime.ReadMemStats(&full)
	m, pieces := Binary(make([]byte, 128)), make([][]byte, 0, 1)
	var broadcast time.Duration
	for b.Loop() {
		start := time.Now()
		s.Broadcast("room", m)
		broadcast += time.Since(start)
		for _, c := range conns {
			c.Output(nil, pieces)
			c.Written(132)
		}
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	var pause uint64
	for i := full.NumGC; i < after.NumGC; i++ {
		pause = max(pause, after.PauseNs[i%uint32(len(after.PauseNs))])
	}
	b.ReportMetric(float64(full.HeapAlloc-empty.HeapAlloc)/float64(members), "B/member")
	b.ReportMetric(float64(broadcast.Nanoseconds())/float64(b.N)/float64(members), "ns/member")
	b.ReportMetric(float64(pause)/1e3, "GCpause-µs")
	runtime.KeepAlive(conns)
}
