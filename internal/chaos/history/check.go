package history

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"time"
)

// Check returns every rule that a room breaks, at most a few per reader and rule.
func Check(r Room) []Violation {
	c := &checker{room: r, sent: map[ID]*Publish{}, at: map[Position]Seen{}, said: map[Position]string{}, where: map[ID]Position{}}
	for i := range r.Publishes {
		c.sent[r.Publishes[i].ID] = &r.Publishes[i]
	}
	if r.Keeps > 0 {
		c.learn()
		c.lookBack()
		c.checkStored()
		c.checkTime()
	}
	for _, reader := range r.Readers {
		if r.Keeps > 0 {
			c.checkReader(reader)
		} else {
			c.checkLive(reader)
		}
	}
	return c.found
}

// checker is the judgement of one room.
type checker struct {
	room  Room
	sent  map[ID]*Publish
	at    map[Position]Seen   // what is where, as whoever said it first said
	said  map[Position]string // who that was
	where map[ID]Position     // the other way round
	heads map[string][]head   // by epoch, in the order of time
	last  Position            // the highest position there is
	found []Violation
}

// head is how far a room had come at a time, as far as anybody has seen.
type head struct {
	time   time.Duration
	offset uint64
}

// lookBack finds out how far the room had come when.
func (c *checker) lookBack() {
	c.heads = map[string][]head{}
	for _, r := range c.room.Readers {
		for _, e := range r.Events {
			if e.Kind == Message || e.Kind == Joined {
				c.heads[e.At.Epoch] = append(c.heads[e.At.Epoch], head{e.Time, e.At.Offset})
			}
		}
	}
	for _, heads := range c.heads {
		slices.SortFunc(heads, func(a, b head) int { return cmp.Compare(a.time, b.time) })
		for i := range heads[1:] {
			heads[i+1].offset = max(heads[i+1].offset, heads[i].offset)
		}
	}
}

// seenLate is how long it takes until somebody sees what is stored, about.
const seenLate = time.Second

// headAt is how far the room had come at a time. A node that lags behind says less.
func (c *checker) headAt(epoch string, t time.Duration) uint64 {
	heads := c.heads[epoch]
	n, _ := slices.BinarySearchFunc(heads, t+seenLate, func(h head, t time.Duration) int { return cmp.Compare(h.time, t) })
	if n == 0 {
		return 0
	}
	return heads[n-1].offset
}

func (c *checker) report(rule Rule, who, format string, args ...any) {
	c.found = append(c.found, Violation{rule, c.room.Name, who, fmt.Sprintf(format, args...)})
}

// learn collects what is where, and finds those who do not agree.
func (c *checker) learn() {
	for _, s := range c.room.Log {
		c.agree("the history", s)
	}
	for _, p := range c.room.Publishes {
		if p.Acked != 0 && p.At != (Position{}) {
			c.agree("the ack of "+p.By, Seen{p.ID, p.At})
		}
	}
	for _, r := range c.room.Readers {
		for _, e := range r.Events {
			if e.Kind == Message {
				c.agree(r.Name, Seen{e.ID, e.At})
			}
		}
	}
}

func (c *checker) agree(who string, s Seen) {
	if c.sent[s.ID] == nil {
		c.report(RuleInvented, who, "message %v at %v was sent by nobody", s.ID, s.At)
	}
	if first, ok := c.at[s.At]; ok {
		if first.ID != s.ID {
			c.report(RuleOrder, who, "%v is at %v, but %s has %v there", c.sent[s.ID], s.At, c.said[s.At], c.sent[first.ID])
		}
		return
	}
	if other, ok := c.where[s.ID]; ok {
		c.report(RuleTwice, who, "%v is at %v and, for %s, at %v", s.ID, s.At, c.said[other], other)
	}
	if c.last.Epoch != "" && s.At.Epoch != c.last.Epoch {
		c.report(RuleHole, who, "position %v is of another epoch than %v, and nothing was forgotten", s.At, c.last)
	} else if c.last.Epoch == "" || s.At.Offset > c.last.Offset {
		c.last = s.At
	}
	c.at[s.At], c.said[s.At], c.where[s.ID] = s, who, s.At
}

// checkStored holds the history to the acks, if the room keeps everything.
func (c *checker) checkStored() {
	if c.room.Keeps != Everything || len(c.room.Log) == 0 { // who could not read it has said so
		return
	}
	stored := map[ID]bool{}
	for i, s := range c.room.Log {
		if want := uint64(i) + 1; s.At.Offset != want {
			c.report(RuleHole, "", "the history has %v where %d comes", s.At, want)
			break
		}
	}
	for _, s := range c.room.Log {
		stored[s.ID] = true
	}
	for _, p := range c.room.Publishes {
		if p.Acked != 0 && !stored[p.ID] {
			c.report(RuleLost, p.By, "%v was sent at %v, acknowledged at %v (%v) after %d tries, and is not in the history",
				p.ID, p.Begun, p.Acked, p.At, p.Tries)
		}
	}
}

// checkTime requires that what was acknowledged before another message was sent stands before it.
func (c *checker) checkTime() {
	type span struct {
		id           ID
		begun, acked time.Duration
		at           uint64
	}
	var byBegin []span
	for _, p := range c.room.Publishes {
		if at, ok := c.where[p.ID]; ok && p.Acked != 0 {
			byBegin = append(byBegin, span{p.ID, p.Begun, p.Acked, at.Offset})
		}
	}
	byAck := slices.Clone(byBegin)
	slices.SortFunc(byBegin, func(a, b span) int { return cmp.Compare(a.begun, b.begun) })
	slices.SortFunc(byAck, func(a, b span) int { return cmp.Compare(a.acked, b.acked) })
	var highest span
	for _, s := range byBegin {
		for len(byAck) > 0 && byAck[0].acked < s.begun {
			if byAck[0].at > highest.at {
				highest = byAck[0]
			}
			byAck = byAck[1:]
		}
		if s.at < highest.at {
			c.report(RuleTime, s.id.By, "%v was sent at %v and stands at %d, behind it at %d %v, which was acknowledged at %v",
				s.id, s.begun, s.at, highest.at, highest.id, highest.acked)
		}
	}
}

// checkReader follows one reader of a room with history.
func (c *checker) checkReader(r Reader) {
	f := follower{checker: c, reader: r}
	for _, e := range r.Events {
		switch e.Kind {
		case Joined:
			f.joined(e)
		case Message:
			f.message(e)
		case Gap:
			f.told += e.Missed
		case Lost:
		}
	}
	if !r.Stayed {
		return
	}
	if !f.in {
		c.report(RuleMissing, r.Name, "it stayed and never got into the room")
	} else if missed, first := f.missed(c.last.Offset + 1); missed > f.told {
		c.report(RuleMissing, r.Name, "it stayed, and of the last messages, up to %v, %d did not come; the first is %s; the last it had is %v",
			c.last, missed, first, f.pos)
	}
}

// follower is one reader on its way through a history.
type follower struct {
	*checker
	reader Reader
	in     bool
	pos    Position // the last it has, or has been told that it misses
	told   uint64   // how many it has been told that it misses, behind pos
}

func (f *follower) joined(e Event) {
	before := f.pos
	if f.in && e.Since != nil {
		f.resumed(e)
	}
	f.in, f.pos, f.told = true, e.At, 0
	switch {
	case e.Since == nil:
	case e.Recovered && e.At != *e.Since:
		f.report(RuleUnanswered, f.reader.Name, "at %v it asked for what follows %v, and is told that what follows %v comes", e.Time, *e.Since, e.At)
	case e.Recovered:
	case e.At.Epoch != e.Since.Epoch:
		f.report(RuleHole, f.reader.Name, "at %v it asked for what follows %v, and the epoch is %q", e.Time, *e.Since, e.At.Epoch)
	case e.At.Offset < e.Since.Offset:
		f.report(RuleOrder, f.reader.Name, "at %v it asked for what follows %v, and the room is at %d only", e.Time, *e.Since, e.At.Offset)
	case max(e.At.Offset, f.headAt(e.At.Epoch, e.Time))-e.Since.Offset <= f.room.due(): // what it is told of may be forgotten elsewhere already
		f.report(RuleFalseGap, f.reader.Name, "at %v it asked for what follows %v; the room is at %d and keeps as much, and it is told that this cannot be had (it had %v)",
			e.Time, *e.Since, e.At.Offset, before)
	}
}

// due is how many messages nobody may be told that he cannot have.
func (r Room) due() uint64 {
	if r.Replays > 0 {
		return uint64(min(r.Keeps, r.Replays))
	}
	return uint64(r.Keeps)
}

// resumed holds the reader itself to what it has: it goes on from there.
func (f *follower) resumed(e Event) {
	if missed, first := f.missed(e.Since.Offset + 1); missed > f.told {
		f.report(RuleSilentGap, f.reader.Name, "at %v it went on from %v, and had had %v: %d are missing; the first is %s", e.Time, *e.Since, f.pos, missed, first)
	} else if e.Since.Offset < f.pos.Offset {
		f.report(RuleUnexpected, f.reader.Name, "at %v it went on from %v, and had had %v already", e.Time, *e.Since, f.pos)
	}
}

func (f *follower) message(e Event) {
	if s := f.sent[e.ID]; s != nil && s.Silent && e.ID.By == f.reader.Name {
		f.report(RuleOwn, f.reader.Name, "at %v it got %v at %v, which it had sent with echo off", e.Time, e.ID, e.At)
	}
	switch {
	case !f.in:
		f.report(RuleUnexpected, f.reader.Name, "at %v it got %v, before it was in the room", e.Time, e.ID)
		return
	case e.At.Epoch != f.pos.Epoch:
		f.report(RuleHole, f.reader.Name, "at %v it got %v at %v after %v: another epoch", e.Time, e.ID, e.At, f.pos)
	case e.At.Offset <= f.pos.Offset:
		f.report(RuleTwice, f.reader.Name, "at %v it got %v at %v when it had all up to %v", e.Time, e.ID, e.At, f.pos)
		return
	default:
		missed, first := f.missed(e.At.Offset)
		if missed > f.told {
			f.report(RuleSilentGap, f.reader.Name, "at %v it got %v at %v after %v: %d are missing, it was told of %d; the first is %s",
				e.Time, e.ID, e.At, f.pos, missed, f.told, first)
		} else if missed < f.told {
			f.report(RuleFalseGap, f.reader.Name, "at %v it got %v at %v after %v: %d are missing, it was told of %d", e.Time, e.ID, e.At, f.pos, missed, f.told)
		}
	}
	f.pos, f.told = e.At, 0
}

// missed counts the messages behind pos and before next that the reader should have got: all but those of its own with echo off.
func (f *follower) missed(next uint64) (n uint64, first string) {
	for o := f.pos.Offset + 1; o < next; o++ {
		s, known := f.at[Position{f.pos.Epoch, o}]
		if p := f.sent[s.ID]; known && p != nil && p.Silent && s.By == f.reader.Name {
			continue
		}
		if n == 0 {
			first = fmt.Sprint(o)
			if known {
				first += fmt.Sprint(" ", s.ID)
			}
		}
		n++
	}
	return n, first
}

// checkLive follows one reader of a room without history.
func (c *checker) checkLive(r Reader) {
	seen := map[ID]bool{}
	type way struct {
		by   string
		conn int
	}
	newest := map[way]Publish{}
	for _, e := range r.Events {
		if e.Kind == Lost { // over another connection, to another node, what was late may come again: nothing says where it stands
			clear(seen)
			clear(newest)
		}
		if e.Kind == Joined && e.Recovered {
			c.report(RuleUnexpected, r.Name, "at %v it is told that everything was recovered, and the room keeps nothing", e.Time)
		}
		if e.Kind != Message {
			continue
		}
		p := c.sent[e.ID]
		if p == nil {
			c.report(RuleInvented, r.Name, "at %v it got %v, which was sent by nobody", e.Time, e.ID)
			continue
		}
		over := way{p.By, p.Conn}
		switch n := newest[over]; {
		case p.Silent && p.By == r.Name:
			c.report(RuleOwn, r.Name, "at %v it got %v, which it had sent with echo off", e.Time, e.ID)
		case seen[e.ID]:
			c.report(RuleTwice, r.Name, "at %v it got %v again", e.Time, e.ID)
		case p.Acked != 0 && p.Acked < n.Begun:
			c.report(RuleOrder, r.Name, "at %v it got %v, which was acknowledged at %v, after %v, which was sent at %v over the same connection", e.Time, e.ID, p.Acked, n.ID, n.Begun)
		}
		seen[e.ID] = true
		if p.Begun > newest[over].Begun {
			newest[over] = *p
		}
	}
}

// CheckMembers compares the members that somebody is shown in a room with those who are in it.
func CheckMembers(room, who string, shown, there []string) []Violation {
	var found []Violation
	is := func(names []string) map[string]bool {
		set := map[string]bool{}
		for _, name := range names {
			set[name] = true
		}
		return set
	}
	a, b := is(shown), is(there)
	if len(a) != len(shown) {
		found = append(found, Violation{RulePresence, room, who, fmt.Sprintf("somebody is shown twice: %v", shown)})
	}
	for _, name := range slices.Sorted(maps.Keys(a)) {
		if !b[name] {
			found = append(found, Violation{RulePresence, room, who, name + " is shown, and is not there"})
		}
	}
	for _, name := range slices.Sorted(maps.Keys(b)) {
		if !a[name] {
			found = append(found, Violation{RulePresence, room, who, name + " is there, and is not shown"})
		}
	}
	return found
}
