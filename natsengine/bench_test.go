package natsengine

import (
	"strings"
	"testing"
	"time"

	"github.com/roomcast/roomcast"
)

// benchNode is an engine with the server in the process, which keeps rooms that begin with "log".
func benchNode(b *testing.B) *Engine {
	b.Helper()
	s, err := RunServer(ServerOptions{Dir: b.TempDir()})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(s.Close)
	e, err := New(Options{Server: s, History: []roomcast.Retention{{Name: "log", Match: func(room string) bool { return strings.HasPrefix(room, "log") }}}})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(e.Close)
	deadline := time.After(patience)
	for tick := time.NewTicker(time.Millisecond); e.Ready() != nil; {
		select {
		case <-tick.C:
		case <-deadline:
			b.Fatal(e.Ready())
		}
	}
	return e
}

// BenchmarkPublish is a message of 128 bytes: stored and delivered by one who publishes, by 128 at once in one room, and passed on without being stored.
func BenchmarkPublish(b *testing.B) {
	e := benchNode(b)
	text := strings.Repeat("x", 128)
	if _, _, err := e.Subscribe(b.Context(), "log", func([]roomcast.Entry) {}); err != nil {
		b.Fatal(err)
	}
	for _, c := range []struct {
		name, room  string
		parallelism int
	}{{"stored", "log", 0}, {"stored128", "log", 64}, {"passed", "live", 0}} {
		b.Run(c.name, func(b *testing.B) {
			if c.parallelism == 0 {
				for b.Loop() {
					if err := e.Publish(b.Context(), c.room, texts(text)); err != nil {
						b.Fatal(err)
					}
				}
				return
			}
			b.SetParallelism(c.parallelism)
			b.RunParallel(func(p *testing.PB) {
				for p.Next() {
					if err := e.Publish(b.Context(), c.room, texts(text)); err != nil {
						b.Error(err)
						return
					}
				}
			})
		})
	}
}

// BenchmarkHistory is what somebody reads who comes back, having missed so many of a thousand messages.
func BenchmarkHistory(b *testing.B) {
	e := benchNode(b)
	var last roomcast.Position
	for range 1000 {
		sent := texts(strings.Repeat("x", 128))
		if err := e.Publish(b.Context(), "log", sent); err != nil {
			b.Fatal(err)
		}
		last = sent[0].Position
	}
	for name, missed := range map[string]uint64{"missed0": 0, "missed10": 10, "missed900": 900} {
		b.Run(name, func(b *testing.B) {
			since := roomcast.Position{Epoch: last.Epoch, Offset: last.Offset - missed}
			for b.Loop() {
				if got, err := e.History(b.Context(), "log", since, 1000); err != nil || len(got) != int(missed) {
					b.Fatalf("%d entries: %v", len(got), err)
				}
			}
		})
	}
}
