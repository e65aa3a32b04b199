package memengine

import (
	"fmt"
	"testing"

	"github.com/roomcast/roomcast"
)

// BenchmarkPublish is one entry of 128 bytes, with an engine that keeps the history of some rooms.
func BenchmarkPublish(b *testing.B) {
	for _, c := range []struct {
		name, room  string
		nodes       int // 0: alone
		subscribers int // on each node
	}{
		{"alone", "live", 0, 1},
		{"peers, nobody there", "live", 2, 0},
		{"peers", "live", 2, 1},
		{"history", "log/a", 0, 0},
		{"history, subscribed", "log/a", 0, 1},
		{"history, subscribed on 3 nodes", "log/a", 3, 1},
	} {
		b.Run(c.name, func(b *testing.B) {
			engines := []*Engine{New(keep(roomcast.Retention{}))}
			if c.nodes > 0 {
				engines = NewCluster(keep(roomcast.Retention{}), c.nodes)
			}
			for _, e := range engines {
				defer e.Close()
				for range c.subscribers {
					if _, _, err := e.Subscribe(b.Context(), c.room, nothing); err != nil {
						b.Fatal(err)
					}
				}
			}
			entries := []roomcast.Entry{{Message: roomcast.Text(fmt.Sprintf("%0128d", 0))}}
			ctx := b.Context()
			b.ReportAllocs()
			for b.Loop() {
				if err := engines[0].Publish(ctx, c.room, entries); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
