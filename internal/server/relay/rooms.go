package relay

import (
	"context"

	"github.com/roomcast/roomcast"
)

// apart is an engine in which the rooms of the relay have names of their own, and keep no history: there is nothing in a frame that could say
// where it stands in one.
type apart struct{ roomcast.Engine }

// name is what a room of the relay is called in the engine. It is one of the program's own names, of which none keeps a history.
func name(room string) string { return "\x01=" + room }

// Publish implements roomcast.Engine.
func (a apart) Publish(ctx context.Context, room string, entries []roomcast.Entry) error {
	return a.Engine.Publish(ctx, name(room), entries)
}

// Subscribe implements roomcast.Engine.
func (a apart) Subscribe(ctx context.Context, room string, deliver func([]roomcast.Entry)) (roomcast.Position, func(), error) {
	return a.Engine.Subscribe(ctx, name(room), deliver)
}

// History implements roomcast.Engine.
func (a apart) History(ctx context.Context, room string, since roomcast.Position, limit int) ([]roomcast.Entry, error) {
	return a.Engine.History(ctx, name(room), since, limit)
}
