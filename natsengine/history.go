package natsengine

import (
	"context"
	"fmt"

	"github.com/roomcast/roomcast"
)

// newestTries is how often a read is repeated that says less than is known: a server may not have noticed yet that it does not lead any more.
const newestTries = 4

// historyBytes is how much is read at once, about, of what follows a position.
const historyBytes = 4 << 20

// reach is what of a room is to be read: offsets from first to last, of the epoch of last.
type reach struct {
	kind  *kind
	room  string
	first uint64
	last  *batch
	whole bool // nothing of it may be missing
}

// history reads up to limit entries of a room.
func (e *Engine) history(ctx context.Context, k *kind, name string, since roomcast.Position, limit int) ([]roomcast.Entry, error) {
	last, err := e.lastSince(ctx, k, name, since)
	if err != nil {
		return nil, e.unavailable("read the history of", name, err)
	}
	if last == nil {
		if since == (roomcast.Position{}) || e.standsAt(name, since) {
			return nil, nil
		}
		return nil, gone(name, since)
	}
	end := last.last().Offset
	kept := uint64(1)
	if end > uint64(k.Messages) {
		kept = end - uint64(k.Messages) + 1
	}
	what := reach{k, name, since.Offset + 1, last, since != roomcast.Position{}}
	switch {
	case !what.whole:
		what.first = max(kept, end-min(uint64(limit), end)+1)
	case since.Epoch != last.epoch || since.Offset > end || what.first < kept:
		return nil, gone(name, since)
	}
	if what.first > end {
		return nil, nil
	}
	entries, err := e.read(ctx, what, limit)
	if err != nil {
		return nil, e.unavailable("read the history of", name, err)
	}
	if what.whole && (len(entries) == 0 || entries[0].Position.Offset != what.first) {
		return nil, gone(name, since)
	}
	return entries, nil
}

func gone(room string, since roomcast.Position) error {
	return fmt.Errorf("natsengine: %w: %q after %s/%d", roomcast.ErrHistoryGone, room, since.Epoch, since.Offset)
}

// lastSince returns the last batch of a room, which is not before since unless there is nothing there.
func (e *Engine) lastSince(ctx context.Context, k *kind, name string, since roomcast.Position) (b *batch, err error) {
	for try := 0; ; try++ {
		b, err = e.last(ctx, k, name)
		if err == nil && (try == newestTries || b == nil || b.epoch != since.Epoch || b.last().Offset >= since.Offset) {
			return b, nil
		}
		if !e.pause(ctx, try) {
			return nil, orElse(err, context.Cause(ctx))
		}
	}
}

// standsAt reports whether somebody here is subscribed to a room and has had everything up to a position. Then nothing has been missed, even
// if nothing is stored any more.
func (e *Engine) standsAt(name string, at roomcast.Position) bool {
	e.mu.Lock()
	r := e.rooms[name]
	e.mu.Unlock()
	if r == nil {
		return false
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.reader != nil && r.reader.isOpen && r.reader.tail.Position == at
}

// read reads entries, limit at most and not many bytes more than historyBytes. Of the last ones it leaves out those in front, and those before what is missing. If
// nothing may be missing it returns what comes first, since who wants more can go on from there.
func (e *Engine) read(ctx context.Context, what reach, limit int) ([]roomcast.Entry, error) {
	seq, err := e.seek(ctx, what)
	if err != nil {
		return nil, err
	}
	end := what.last.last()
	var entries []roomcast.Entry
	bytes := 0
	for try := 0; len(entries) < limit && seq <= what.last.seq && !(what.whole && len(entries) > 0 && bytes >= historyBytes); {
		found, err := e.following(ctx, what.kind, what.room, seq, fetchMessages)
		if len(found) == 0 { // it failed, or the server is behind, or the rest has been forgotten meanwhile
			if try++; !e.pause(ctx, try) {
				return nil, orElse(err, context.Cause(ctx))
			}
			if last, err := e.last(ctx, what.kind, what.room); err == nil && (last == nil || last.epoch != end.Epoch) {
				break
			}
			continue
		}
		for _, b := range found {
			seq = b.seq + 1
			if b.epoch != end.Epoch || b.last().Offset < what.first || b.seq > what.last.seq {
				continue // of an epoch before, or not asked for
			}
			more, err := b.entries()
			if err != nil {
				return nil, err
			}
			if b.first < what.first {
				more = more[what.first-b.first:]
			}
			if n := len(entries); n > 0 && len(more) > 0 && more[0].Position.Offset != entries[n-1].Position.Offset+1 {
				if what.whole {
					return nil, nil
				}
				entries, bytes = nil, 0
			}
			entries = append(entries, more...)
			for _, e := range more {
				bytes += len(e.Data)
			}
			for !what.whole && bytes > historyBytes && len(entries) > 1 {
				bytes -= len(entries[0].Data)
				entries = entries[1:]
			}
		}
	}
	return entries[:min(limit, len(entries))], nil
}

// near is how many entries too many are read rather than looking for a better place to begin.
const near = 16

// seek returns a sequence to begin at: not behind the first offset, and not far before it. Offsets grow with sequences, so it is a search between
// the first and the last message of the room; a stream is shared, so that neither half of them nor a guess by proportion is always good, and
// it takes turns with them.
func (e *Engine) seek(ctx context.Context, what reach) (uint64, error) {
	found, err := e.seekAt(ctx, what, 1)
	if err != nil || found == nil {
		return 1, err
	}
	low, high, highOffset := found, what.last.seq, what.last.first
	for turn := 0; low.epoch == what.last.epoch && low.first+near < what.first && low.seq+1 < high; turn++ {
		middle := low.seq + (high-low.seq)/2
		if turn%2 == 0 && highOffset > low.first {
			share := float64(what.first-near/2-low.first) / float64(highOffset-low.first) // what.first is more than near behind low.first
			middle = low.seq + uint64(share*float64(high-low.seq))
		}
		middle = min(max(middle, low.seq+1), high-1)
		b, err := e.seekAt(ctx, what, middle)
		switch {
		case err != nil:
			return 0, err
		case b == nil || b.seq >= high || b.first > what.first:
			if high = middle; b != nil {
				highOffset = b.first
			}
		default:
			low = b
		}
	}
	return low.seq, nil
}

func (e *Engine) seekAt(ctx context.Context, what reach, seq uint64) (*batch, error) {
	for try := 0; ; try++ {
		found, err := e.following(ctx, what.kind, what.room, seq, 1)
		if err == nil && len(found) > 0 {
			return found[0], nil
		}
		if err == nil {
			return nil, nil
		}
		if !e.pause(ctx, try) {
			return nil, err
		}
	}
}
