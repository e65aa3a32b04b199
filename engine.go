package roomcast

import (
	"context"
	"time"
)

// Engine is what lies behind the rooms of a Server, beyond its process: other nodes, what was sent before, and who is there. Without one
// (Options.Engine) a room is this process's alone and remembers nothing. memengine has one in memory, natsengine one over NATS;
// roomcasttest.EngineSuite holds any other to what is written here.
//
// An engine belongs to who made it, who closes it after the servers that use it. All methods may be called from anywhere at any time. Names
// of rooms are any string of 1 to 255 bytes of UTF-8; those that begin with "\x01" are the program's own, for messages between nodes.
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
	// those of this node. Positions stay zero.
	Publish(ctx context.Context, room string, entries []Entry) error

	// Subscribe has deliver called with the entries of a room from now on, in the order of their offsets and without a gap, each
	// once, never two calls at a time. at is the position after which they begin, zero if the room keeps no history. Entries may come
	// before Subscribe has returned. If entries could not be had any more, the offsets jump.
	//
	// deliver does not block, and does not call the engine. cancel ends it without waiting for a call that is under way; a second time it
	// does nothing.
	Subscribe(ctx context.Context, room string, deliver func(entries []Entry)) (at Position, cancel func(), err error)

	// History returns up to limit entries of a room that follow since, oldest first and without a gap; with the zero Position the last
	// ones. None means that there are none. ErrHistoryGone says that what follows since cannot be had: its epoch is over, or
	// the entries are older than what is kept.
	History(ctx context.Context, room string, since Position, limit int) ([]Entry, error)

	// Present says that somebody is there, on this node, with other Info than before, or Gone. It does not wait. The engine goes on saying so to
	// the other nodes until Gone, and for as long as the node lives. A member that another node presents is that node's from then on: that it
	// is Gone here says nothing any more.
	Present(m Member)

	// Watch has changed called with all members there are, those of this node included, and then with every change, never two calls at a
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
