package hub

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/roomcast/roomcast"
	"github.com/roomcast/roomcast/internal/server/auth"
	"github.com/roomcast/roomcast/internal/server/protocol"
)

// readTimeout is how long a client or the backend waits for a part of a history.
const readTimeout = 10 * time.Second

// readBytes is how many bytes of messages a client is given at once, about.
const readBytes = 256 << 10

// Reading is which part of a room's history is wanted: what follows Since or comes before Before or, if both are zero, the newest.
type Reading struct {
	Since, Before roomcast.Position
	Limit         int // how many messages at most, 1 or more
	Bytes         int // how many bytes of them, about; there is one in any case
}

// History returns a part of what a room keeps, in its order; none if it keeps nothing, or nothing of what is asked for. It waits for the engine. The
// error is roomcast.ErrHistoryGone if what is asked for is not kept any more, or one of the engine's.
func (h *Hub) History(room string, r Reading) (entries []roomcast.Entry, err error) {
	ctx, cancel := context.WithTimeout(h.ctx, readTimeout)
	defer cancel()
	if r.Before == (roomcast.Position{}) {
		entries, err = h.config.Engine.History(ctx, room, r.Since, r.Limit)
	} else {
		entries, err = h.earlier(ctx, room, r)
	}
	return cut(entries, r.Bytes, r.Since != (roomcast.Position{})), err
}

// cut keeps the first or the last of the entries, as many as have so many bytes, and one in any case.
func cut(entries []roomcast.Entry, bytes int, first bool) []roomcast.Entry {
	for n := range entries {
		i := n
		if !first {
			i = len(entries) - 1 - n
		}
		if bytes -= len(entries[i].Data); bytes >= 0 || n == 0 {
			continue
		}
		if first {
			return entries[:i]
		}
		return entries[i+1:]
	}
	return entries
}

// pieces is how many entries are read at first of those before a place; then it is twice as many each time.
const pieces = 8

// earlier returns the last entries before a place that are kept. An engine reads forwards, so they are read in pieces, until they are enough.
func (h *Hub) earlier(ctx context.Context, room string, r Reading) (all []roomcast.Entry, err error) {
	end := r.Before.Offset - min(1, r.Before.Offset) // the last that is wanted
	for n, bytes := pieces, 0; end > 0 && len(all) < r.Limit && bytes < r.Bytes; n *= 2 {
		begin := end - min(end, uint64(min(n, r.Limit-len(all))))
		piece, err := h.kept(ctx, room, r.Before.Epoch, begin, end)
		if err != nil {
			return nil, err
		}
		for _, e := range piece {
			bytes += len(e.Data)
		}
		all = append(piece, all...)
		if uint64(len(piece)) < end-begin {
			break // what is in front of it is not kept any more
		}
		end = begin
	}
	return all, nil
}

// kept returns those of the entries between two offsets that are kept. All or nothing is what an engine reads, so that where they begin is searched for if some
// are not kept any more.
func (h *Hub) kept(ctx context.Context, room, epoch string, after, end uint64) (entries []roomcast.Entry, err error) {
	low, high := after, end
	for ; low < high; after = low + (high-low)/2 {
		found, err := h.between(ctx, room, epoch, after, end)
		switch {
		case err == nil:
			entries, high = found, after
		case errors.Is(err, roomcast.ErrHistoryGone):
			low = after + 1
		default:
			return nil, err
		}
	}
	return entries, nil
}

// between returns the entries behind one offset, up to another.
func (h *Hub) between(ctx context.Context, room, epoch string, after, end uint64) (entries []roomcast.Entry, err error) {
	for after < end {
		more, err := h.config.Engine.History(ctx, room, roomcast.Position{Epoch: epoch, Offset: after}, int(end-after))
		if err != nil || len(more) == 0 {
			return entries, err
		}
		entries = append(entries, more...)
		after = more[len(more)-1].Position.Offset
	}
	return entries, nil
}

// history answers a request for a part of a history.
func (c *client) history(r protocol.Request) (answer []byte, _ *refusal) {
	if err := c.hub.rooms.CheckRoom(r.Room); err != nil {
		return nil, refuse(protocol.BadRoom, "%v", err)
	}
	if !c.pass.Allows(auth.Join, r.Room) {
		return nil, refuse(protocol.Forbidden, "the token does not allow to join this room, nor to read what it keeps")
	}
	want := Reading{Limit: r.Limit, Bytes: readBytes}
	if outbox := c.hub.config.Rooms.OutboxBytes; outbox > 0 { // what does not fit would close the connection
		want.Bytes = min(readBytes, outbox/4)
	}
	if r.Since != nil {
		want.Since = roomcast.Position(*r.Since)
	}
	if r.Before != nil {
		want.Before = roomcast.Position(*r.Before)
	}
	entries, err := c.hub.History(r.Room, want)
	switch {
	case errors.Is(err, roomcast.ErrHistoryGone):
		return nil, refuse(protocol.HistoryGone, "that part of the history is not kept any more; leave out \"since\" and \"before\" for the newest")
	case err != nil:
		return nil, unavailable(err)
	}
	var p protocol.History
	if n := len(entries); n > 0 {
		p = protocol.History{Epoch: entries[0].Position.Epoch, First: entries[0].Position.Offset, Last: entries[n-1].Position.Offset}
	}
	for _, e := range entries {
		if !slices.Contains(e.Except, c.self.Load().id) {
			p.Messages = append(p.Messages, protocol.Kept{Offset: e.Position.Offset, Body: e.Data})
		}
	}
	return protocol.AppendHistory(nil, r.ID, r.Room, p), nil
}
