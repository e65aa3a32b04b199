package history

import (
	"fmt"
	"time"
)

// Position is a place in the history of a room, as the protocol says it. The zero Position is that of a room that keeps none.
type Position struct {
	Epoch  string
	Offset uint64
}

// ID names a message: its sender, and which of the sender's it is.
type ID struct {
	By  string // the client that sent it, and that does not get it if it was sent with echo off
	Seq int
}

// Publish is one message that a sender wanted to send, whatever became of it.
type Publish struct {
	ID
	Silent bool          // echo off: its sender does not get it
	Begun  time.Duration // when it was sent first, since the run began
	Acked  time.Duration // when the sender was told that it is done; 0: never
	At     Position      // where, if the ack said so
	Tries  int           // how often it was sent
	Conn   int           // over which of the sender's connections it was sent last
}

// String is what became of it.
func (p *Publish) String() string {
	if p == nil {
		return "what nobody sent"
	}
	s := fmt.Sprintf("{%s %d} (sent at %v, %d times", p.By, p.Seq, p.Begun, p.Tries)
	if p.Acked != 0 {
		s += fmt.Sprintf(", acknowledged at %v for %v", p.Acked, p.At)
	}
	return s + ")"
}

// Seen is a message where somebody found it.
type Seen struct {
	ID
	At Position
}

// Kind is what happened to a reader.
type Kind int

// The kinds of events.
const (
	Joined  Kind = iota // the room was joined or restored: At, Since and Recovered
	Message             // ID and At
	Gap                 // the server said that Missed messages are missing
	Lost                // the connection ended; what comes next is Joined
)

// Event is one thing that happened to a reader in a room. What a reader has been given before it was told that it is in the room stands
// after Joined, as it would use it.
type Event struct {
	Kind      Kind
	Time      time.Duration
	At        Position
	ID        ID
	Since     *Position // after which the reader wanted to go on; nil: from now on
	Recovered bool
	Missed    uint64
}

// Reader is what one client saw of one room.
type Reader struct {
	Name   string // the By of what it sends itself
	Events []Event
	Stayed bool // it was in the room when all was quiet at the end
}

// Room is what all clients saw of one room, and did to it.
type Room struct {
	Name      string
	Keeps     int // how many messages are kept for sure; 0: none at all; Everything
	Replays   int // how many of those fit into a replay for sure; 0: all
	Publishes []Publish
	Readers   []Reader
	Log       []Seen // the whole history, as somebody read it at the end; only of rooms that keep everything
}

// Everything is the Keeps of a room that forgets nothing during the run.
const Everything = int(^uint(0) >> 1)

// Rule is what a violation violates.
type Rule string

// The rules. Each has a test that Check finds what breaks it.
const (
	RuleLost       Rule = "lost"         // an acknowledged message is not in the history
	RuleTwice      Rule = "twice"        // a message is there twice, in the history or for a reader
	RuleOrder      Rule = "order"        // two do not agree on what is at a position, or one saw positions go back
	RuleTime       Rule = "time"         // a message that was acknowledged before another was sent stands behind it
	RuleHole       Rule = "hole"         // the history's offsets are not contiguous, or it has more than one epoch
	RuleOwn        Rule = "own"          // somebody got what it had sent with echo off
	RuleSilentGap  Rule = "silent gap"   // a reader missed something and was not told
	RuleFalseGap   Rule = "false gap"    // a reader was told that it missed something, and it need not have
	RuleMissing    Rule = "missing"      // a reader that stayed did not get the last ones
	RuleUnanswered Rule = "unanswered"   // a join did not go on where it was asked to
	RulePresence   Rule = "presence"     // who is said to be there is not who is there
	RuleUnexpected Rule = "unexpected"   // the server said what no server says
	RuleLate       Rule = "late"         // something took longer than its bound
	RuleInvented   Rule = "invented"     // a message that nobody sent
	RuleOwnLate    Rule = "own too late" // the ack of a message came before the message itself
)

// Violation is one rule broken, in words.
type Violation struct {
	Rule Rule
	Room string
	Who  string // the reader or sender, if it is about one
	Text string
}

// String is the line that a failing test prints.
func (v Violation) String() string {
	who := v.Room
	if v.Who != "" {
		who += ", " + v.Who
	}
	return string(v.Rule) + " (" + who + "): " + v.Text
}
