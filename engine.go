package roomcast

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/roomcast/roomcast/internal/session"
)

// Engine is what lies behind the rooms of a Server, beyond its process: other nodes, what was sent before, and who is there. Without one
// (Options.Engine) a room is this process's alone and remembers nothing. memengine has one in memory, natsengine one over NATS;
// roomcasttest.EngineSuite holds any other to what is written here.
//
// An engine belongs to who made it, who closes it after the servers that use it. All methods may be called from anywhere at any time. Names
// of rooms are any string of 1 to 255 bytes of UTF-8; those that begin with "\x01" are the program's own, keep no history, and may have 257 bytes.
//
// While the engine is away, what needs it fails with ErrUnavailable, soon; everything resumes by itself, subscriptions included.
//
// What an engine hands out is only read. Of what Publish was given it keeps nothing when it has returned.
type Engine interface {
	// Node returns the name of this node, which no other node of the cluster has; "" if there can be no others.
	Node() string

	// Publish hands entries to all who are subscribed to the room.
	//
	// In a room that keeps a history it returns when all of them are stored, in this order, and have been delivered to the subscriptions
	// of this node; it has then set the Position of each. What it has returned without an error for is never lost and never reordered. An
	// entry whose Once was used within the window is not stored again: Again is set, and its Position is that of the first, or zero if
	// that is kept no more. If an error is returned, some may have been stored or will be: repeating it with the same Once, here or on
	// another node, is safe.
	//
	// In any other room it never waits: the entries are delivered to the subscriptions of other nodes, in this order, at most once, and not to
	// those of this node. Positions stay zero. That other nodes cannot be reached is no error: the only one is ErrTooLarge, in any room.
	Publish(ctx context.Context, room string, entries []Entry) error

	// Subscribe has deliver called with the entries of a room from now on, in the order of their offsets and without a gap, each
	// once, never two calls at a time. at is the position after which they begin, zero if the room keeps no history. Entries may come
	// before Subscribe has returned. If entries could not be had any more, the offsets jump.
	//
	// deliver does not block, and calls nothing of the engine but a cancel, of this subscription or of others: a delivery may end rooms. cancel
	// ends it without waiting for a call that is under way; a second time it does nothing.
	Subscribe(ctx context.Context, room string, deliver func(entries []Entry)) (at Position, cancel func(), err error)

	// History returns up to limit entries of a room that follow since, oldest first and without a gap, or fewer if they are large; with the
	// zero Position the last ones. None means that there are none. ErrHistoryGone says that what follows since cannot be had: its epoch is over, the
	// entries are older than what is kept, or the room has not come so far, on no node.
	History(ctx context.Context, room string, since Position, limit int) ([]Entry, error)

	// Present says that somebody is there, on this node, with other Info than before, or Gone. It does not wait. The engine goes on saying so to
	// the other nodes until Gone, and for as long as the node lives. A member that another node presents is that node's from then on: that it
	// is Gone here says nothing any more.
	Present(m Member)

	// Watch has changed called with all members there are, perhaps none, those of this node included, then with every change, never two calls at a
	// time and in the order of the changes of each member. A member of a node that has died is Gone after some time, unless another node presents it.
	Watch(changed func(members []Member)) (cancel func())
}

// Position is a place in the history of a room: that of an entry, or of all up to it.
type Position struct {
	// Epoch is a numbering: another one begins when the room has forgotten how far it had come. "" if the room keeps no history.
	Epoch string

	// Offset counts the entries of an epoch from 1, without a gap. 0 is before the first.
	Offset uint64
}

// Entry is a message on its way through an engine.
type Entry struct {
	Message

	// Position is where it stands in the history of its room. It is set by Engine.Publish and zero in rooms that keep none.
	Position Position

	// Except is the sessions (Conn.Session) that are not handed it, whatever node and connection they are on, now or later.
	Except []string

	// Key is Publication.Key.
	Key string

	// Once is an idempotency key, of at most 255 bytes: of the entries of one room with the same, one is stored within the window. "" is none.
	Once string

	// Again is set by Engine.Publish: there was one with the same Once.
	Again bool
}

// Member is somebody who is there: an application's session, say.
type Member struct {
	ID   string // 1 to 64 letters and digits, "-" and "_"
	Node string // where; set by the engine
	Info []byte // the application's, not to be changed; at most 512 KiB
	Gone bool
}

// Retention is how much is kept of the rooms of one kind. What passes any of the limits is forgotten, oldest first.
type Retention struct {
	Name     string                 // of the kind, for the engine to find it again: letters, digits, "-" and "_"
	Match    func(room string) bool // which rooms; the first kind that matches counts
	Messages int                    // for each room; zero means 1,000
	Age      time.Duration          // zero means 24 h
	Bytes    int64                  // for all rooms of the kind together; zero means 1 GiB
}

// engineTimeout is how long a Join or a Publish waits for the engine.
const engineTimeout = 10 * time.Second

const (
	fetchAtOnce = 1000    // entries, from the history
	entryBytes  = 160     // that an entry takes besides its data
	greeting    = 4 << 10 // bytes of an outbox that a replay leaves to what goes before it
)

// feed is what comes to a room from the engine. It begins with the room and ends with it.
type feed struct {
	ready  chan struct{} // closed when the next two are set
	err    error         // there is no subscription
	cancel func()        // ends it

	// Guarded by room.mu.
	at       Position   // of the latest entry that the members have been handed
	arriving []*arrival // who is on the way in
}

// arrival is a connection that is not a member yet, since what it has missed is still being fetched.
type arrival struct {
	since   Position
	at      Position      // where the feed was when it began
	entries []Entry       // what has come since then, unless it is too much
	left    int           // how many bytes more may come; less than 0: too much has
	reached chan struct{} // closed when the feed has come as far as since, or too much has come
	there   bool          // that is so

	// Owned by JoinFrom.
	missed []Entry // what came before then
	gone   bool    // what came before then cannot be had
}

// stop ends the subscription of a room that has gone. f is nil if there is no engine.
func (f *feed) stop() {
	if f != nil && f.cancel != nil {
		f.cancel()
	}
}

// advanceLocked notes that entries are being delivered. One that is Again is none: it stands for those that are missing up to it.
func (f *feed) advanceLocked(entries []Entry) {
	f.at = entries[len(entries)-1].Position
	for _, a := range f.arriving {
		for _, e := range entries {
			if e.Position.Epoch != a.since.Epoch || e.Position.Offset > a.since.Offset { // else it has that already
				a.left -= entryBytes + len(e.Data)
				a.entries = append(a.entries, e)
				if e.Again {
					a.left = -1 // nobody can replay that
				}
			}
		}
		if a.left < 0 {
			a.entries = nil
		}
		a.lookLocked(f.at)
	}
}

// lookLocked sees how far the feed has come.
func (a *arrival) lookLocked(at Position) {
	if !a.there && (a.left < 0 || at.Epoch != a.since.Epoch || at.Offset >= a.since.Offset) {
		a.there = true
		close(a.reached)
	}
}

// Joining is how a connection joins a room.
type Joining struct {
	// Since is from where on the connection wants the entries of the room: what it has missed is replayed, if it can be had and fits into
	// the outbox (Options.OutboxBytes). The zero Position is from now on.
	Since Position

	// Greet makes the first message of the room to the connection: at is after which position entries follow, zero if the room
	// keeps no history, and recovered whether that is Since. It is called with locks held, once the connection is a member: it does not call
	// server or connections. An empty message is not sent. Nil is none.
	Greet func(at Position, recovered bool) Message
}

// JoinFrom is Join, with what the connection has missed before.
func (c *Conn) JoinFrom(room string, j Joining) error {
	if err := c.srv.CheckRoom(room); err != nil {
		return err
	}
	s := c.srv
	r, fresh := s.rooms.pin(room, &s.opts)
	defer s.rooms.unpin(r)
	var a *arrival
	if r.feed != nil {
		err := s.attach(r, fresh)
		if err == nil {
			if a = r.expect(c, j.Since); a != nil {
				defer r.dismiss(a)
				err = s.fetch(r, a)
			}
		}
		if err != nil {
			return fmt.Errorf("roomcast: join %q: %w", room, err)
		}
	}
	full := false
	err := s.rooms.join(c, r, func(fresh bool) { full = c.welcomeLocked(r, j, a, fresh) })
	if full {
		c.depart()
	}
	return err
}

// fetch gets what was missed before the arrival, as far as it can be had and is no more than may wait for one connection.
func (s *Server) fetch(r *room, a *arrival) error {
	ctx, cancel := context.WithTimeout(context.Background(), engineTimeout)
	defer cancel()
	if err := s.reach(ctx, r, a); errors.Is(err, ErrHistoryGone) {
		a.gone = true
		return nil
	} else if err != nil {
		return err
	}
	for at, size := a.since, 0; at.Epoch != a.at.Epoch || at.Offset < a.at.Offset; { // since may be ahead of where the feed was
		var entries []Entry
		err := ErrHistoryGone // for this connection: it is too much
		if size <= s.opts.OutboxBytes {
			entries, err = s.opts.Engine.History(ctx, r.name, at, fetchAtOnce)
		}
		if errors.Is(err, ErrHistoryGone) || err == nil && len(entries) == 0 {
			a.gone = true
			return nil
		}
		if err != nil {
			return err
		}
		for _, e := range entries {
			if size += session.MaxHeader + len(e.Data); at != a.at {
				a.missed, at = append(a.missed, e), e.Position
			}
		}
	}
	return nil
}

// reach waits until the feed has come as far as what the arrival has seen. If that was on another node, this one may be behind; otherwise the history says
// that there is no such place, nor anything behind it.
func (s *Server) reach(ctx context.Context, r *room, a *arrival) error {
	select {
	case <-a.reached:
		return nil
	default:
	}
	_, missing := s.opts.Engine.History(ctx, r.name, a.since, 1)
	if errors.Is(missing, ErrHistoryGone) { // forgotten already, if the room is further
		last, err := s.opts.Engine.History(ctx, r.name, Position{}, 1)
		if err != nil || len(last) == 0 || last[0].Position.Epoch != a.since.Epoch || last[0].Position.Offset < a.since.Offset {
			return missing
		}
	} else if missing != nil {
		return missing
	}
	select {
	case <-a.reached:
		return missing
	case <-ctx.Done():
		return ErrUnavailable
	}
}

// welcomeLocked greets a new member and replays what it has missed. full is whether the outbox cannot take it: then c has begun to close.
func (c *Conn) welcomeLocked(r *room, j Joining, a *arrival, fresh bool) (full bool) {
	var at Position
	if r.feed != nil {
		at = r.feed.at
	}
	var messages []Message
	recovered := at.Epoch != "" && j.Since == at
	if a != nil && fresh { // else another call has replayed it
		if messages, recovered = c.replay(r, a); !recovered {
			messages = nil
		}
	}
	if recovered {
		at = j.Since
	}
	if j.Greet != nil {
		if m := j.Greet(at, recovered); len(m.Data) > 0 {
			messages = append([]Message{m}, messages...)
		}
	}
	for len(messages) > 0 && !full {
		var f *frame
		f, messages = c.srv.encodeSome(messages)
		full = c.offer(f) == offerFull
	}
	return full
}

// replay returns the messages that c has missed, without those that its session is left out of. ok is false if one of them is missing, or they are too much.
func (c *Conn) replay(r *room, a *arrival) (messages []Message, ok bool) {
	size, own := 0, c.Session()
	for at, entries := a.since, append(a.missed, a.entries...); len(entries) > 0; entries = entries[1:] {
		e := entries[0]
		if e.Position.Epoch == at.Epoch && e.Position.Offset <= at.Offset {
			continue // it has come both ways
		}
		if at.before(e.Position) > 0 {
			return nil, false
		}
		if at = e.Position; !slices.Contains(e.Except, own) {
			m := c.srv.render(r.name, entries[:1])[0]
			size += session.MaxHeader + len(m.Data)
			messages = append(messages, m)
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return messages, !a.gone && a.left >= 0 && c.out.bytes+size <= c.srv.opts.OutboxBytes-greeting
}

// attach subscribes a fresh room, or waits until who found it fresh has done so.
func (s *Server) attach(r *room, fresh bool) error {
	f := r.feed
	if fresh {
		ctx, cancel := context.WithTimeout(context.Background(), engineTimeout)
		defer cancel()
		at, stop, err := s.opts.Engine.Subscribe(ctx, r.name, func(entries []Entry) { s.receive(r, entries) })
		r.mu.Lock()
		if f.at == (Position{}) { // else something has come meanwhile
			f.at = at
		}
		r.mu.Unlock()
		f.cancel, f.err = stop, err
		close(f.ready)
	}
	<-f.ready
	return f.err
}

// receive delivers what comes from the engine: entries that nobody else is left out of go together.
func (s *Server) receive(r *room, entries []Entry) {
	if first := entries[0].Position; first.Epoch != "" && s.opts.Gap != nil {
		r.mu.Lock()
		at := r.feed.at
		r.mu.Unlock()
		if missed := at.before(first); missed > 0 {
			if f, err := newFrame(s.opts.Gap(r.name, int(missed))); err == nil {
				f.logged = []Entry{{Position: Position{first.Epoch, first.Offset - 1}, Again: true}} // who comes from now on begins behind it
				s.deliver(r, f)
			}
		}
	}
	for len(entries) > 0 {
		n := 1
		for n < len(entries) && slices.Equal(entries[n].Except, entries[0].Except) && entries[n].Key == entries[0].Key {
			n++
		}
		batch := entries[:n]
		entries = entries[n:]
		for messages := s.render(r.name, batch); len(messages) > 0; {
			f, rest := s.encodeSome(messages)
			f.logged, f.key = batch[:f.messages:f.messages], batch[0].Key
			batch, messages = batch[f.messages:], rest
			s.deliver(r, f)
		}
	}
}

// before returns how many entries are missing between a position and the next entry. A new epoch begins where the one before has been
// forgotten: what of it has been missed nobody knows.
func (p Position) before(next Position) uint64 {
	from := uint64(0)
	if p.Epoch == next.Epoch {
		from = p.Offset
	}
	if p.Epoch == "" || next.Offset <= from+1 { // nobody has been handed anything, or nothing is missing
		return 0
	}
	return next.Offset - from - 1
}

// render makes the messages that members get.
func (s *Server) render(room string, entries []Entry) []Message {
	messages := make([]Message, len(entries))
	for i, e := range entries {
		messages[i] = e.Message
		if s.opts.Render != nil {
			messages[i] = s.opts.Render(room, e)
		}
	}
	return messages
}

// publish hands a publication to the engine.
func (s *Server) publish(room string, p Publication) ([]Entry, error) {
	sessions := slices.Clone(p.Sessions)
	for _, c := range p.Except {
		if c != nil {
			sessions = append(sessions, c.Session())
		}
	}
	entries := make([]Entry, len(p.Messages))
	for i, m := range p.Messages {
		entries[i] = Entry{Message: m, Except: sessions, Key: p.Key, Once: p.Once}
	}
	ctx, cancel := context.WithTimeout(context.Background(), engineTimeout)
	defer cancel()
	if err := s.opts.Engine.Publish(ctx, room, entries); err != nil {
		return nil, fmt.Errorf("roomcast: publish to %q: %w", room, err)
	}
	return entries, nil
}

// expect notes that c is about to join, and wants what follows since. Nil means that it begins with what comes next.
func (r *room) expect(c *Conn, since Position) *arrival {
	r.mu.Lock()
	defer r.mu.Unlock()
	if since.Epoch == "" || r.feed.at.Epoch == "" || c.isIn(r) {
		return nil
	}
	a := &arrival{since: since, at: r.feed.at, left: c.srv.opts.OutboxBytes, reached: make(chan struct{})}
	a.lookLocked(a.at)
	r.feed.arriving = append(r.feed.arriving, a)
	return a
}

// dismiss ends that.
func (r *room) dismiss(a *arrival) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.feed.arriving = slices.DeleteFunc(r.feed.arriving, func(other *arrival) bool { return other == a })
}
