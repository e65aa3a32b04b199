package natsengine

import (
	"slices"
	"time"
)

// A notification is published once, so that it may be lost: with a connection, with the server that leads the stream. The next one shows that; for
// the last one, the last message of every room with members here is looked at now and then.

// rhythm is how often: a room every so long, some of them at every tick.
type rhythm struct{ every, tick time.Duration }

// A lost notification is made up for within about tailEvery, even if nothing follows it. tailRooms is how many are looked at in a tick, unless there are so many
// that it has to be more.
const (
	tailEvery = 2 * time.Second
	tailTick  = 250 * time.Millisecond
	tailRooms = 1024
)

// roomIdle is how long a room is remembered that nobody here uses.
const roomIdle = time.Minute

// keepTails looks after the rooms until the engine ends.
func (e *Engine) keepTails() {
	ticker := time.NewTicker(e.o.tails.tick)
	defer ticker.Stop()
	swept := time.Now()
	for {
		select {
		case <-ticker.C:
		case <-e.ctx.Done():
			return
		}
		if e.isConnected() {
			e.checkTails()
		}
		if time.Since(swept) > roomIdle/4 {
			swept = time.Now()
			e.sweep(swept.Add(-roomIdle))
		}
	}
}

// tailsAtOnce is how many rooms are asked for at once. The names of rooms may be long, and a request is at most 1 MiB.
const tailsAtOnce = 256

// checkTails looks at the rooms that are due, of each kind together. Those that were right up to about the same message go together, because
// only what came later is sent back.
func (e *Engine) checkTails() {
	due := map[*kind][]*room{}
	for _, r := range e.dueRooms() {
		due[r.kind] = append(due[r.kind], r)
	}
	for k, rooms := range due {
		slices.SortFunc(rooms, func(a, b *room) int { return int(int64(a.through() - b.through())) })
		for part := range slices.Chunk(rooms, tailsAtOnce) {
			e.checkTailsOf(k, part)
		}
	}
}

// dueRooms are rooms whose tails have not been looked at for some time. Of very many they are those that have waited longest, as many as have to be looked
// at in each tick so that every room has its turn in time.
func (e *Engine) dueRooms() []*room {
	type waiting struct {
		*room
		since time.Time
	}
	before := time.Now().Add(-e.o.tails.every)
	var due []waiting
	all := e.allRooms()
	for _, r := range all {
		if since, ok := r.lastChecked(); ok && since.Before(before) {
			due = append(due, waiting{r, since})
		}
	}
	slices.SortFunc(due, func(a, b waiting) int { return a.since.Compare(b.since) })
	most := max(tailRooms, 2*len(all)*int(e.o.tails.tick)/int(e.o.tails.every))
	var rooms []*room
	for _, w := range due[:min(most, len(due))] {
		rooms = append(rooms, w.room)
	}
	return rooms
}

func (e *Engine) checkTailsOf(k *kind, rooms []*room) {
	eras := make([]uint64, len(rooms))
	for i, r := range rooms {
		eras[i] = r.eraNow()
	}
	for from, whole := rooms[0].through()+1, false; !whole; {
		now := time.Now()
		found, upTo, all, err := e.readTails(e.ctx, k, rooms, from)
		if err != nil {
			e.o.Logger.Debug("Looking for lost notifications failed; trying again", "stream", k.stream, "error", err)
			return // they are still due
		}
		e.stats.tailChecks.Add(uint64(len(rooms)))
		for i, r := range rooms {
			if b := found[r.subject]; b != nil && r.isBehind(b) {
				e.stats.tailsBehind.Add(1)
				r.accept(b)
			}
			if all {
				r.checked(now, upTo, eras[i])
			}
		}
		if !all && upTo < from {
			return // no server answers so
		}
		from, whole = upTo+1, all
	}
}

// lastChecked is when the tail was last known to be right: when it was looked at or notifications came in, because the next one would show a loss. ok is
// false if it need not be looked at. Soon after the first subscription it has to: until all servers know of it, notifications may have been lost.
func (r *room) lastChecked() (since time.Time, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.reader == nil || !r.reader.isOpen {
		return time.Time{}, false
	}
	return r.reader.checked, true
}

func (r *room) listening() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.reader != nil
}

// through is the sequence in the stream up to which everything of the room is known here.
func (r *room) through() uint64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.reader == nil {
		return 0
	}
	return max(r.reader.through, r.reader.tail.seq)
}

func (r *room) isBehind(b *batch) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.reader != nil && b.seq > r.reader.tail.seq
}

func (r *room) eraNow() uint64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.era
}

// checked notes what a look has found that has begun in an era.
func (r *room) checked(at time.Time, through, era uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.reader != nil && r.era == era {
		r.reader.checked, r.reader.through = at, max(r.reader.through, through)
	}
}

// distrustLocked has what is behind a sequence looked at anew. What a look finds that is under way may be from before.
func (r *room) distrustLocked(behind uint64) {
	r.era++
	if r.reader != nil {
		r.reader.through = min(r.reader.through, behind)
	}
}

// suspectTails makes all tails be looked at soon: notifications may have been lost.
func (e *Engine) suspectTails() {
	for _, r := range e.allRooms() {
		r.mu.Lock()
		r.known = false
		if r.distrustLocked(0); r.reader != nil { // also what was known before: NATS may have lost it, and stored something else since
			r.reader.checked = time.Time{}
		}
		r.mu.Unlock()
	}
}

// sweep forgets rooms that nobody here has used for some time.
func (e *Engine) sweep(since time.Time) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for name, r := range e.rooms {
		if r.unused(since) {
			delete(e.rooms, name)
		}
	}
}
