package history

import (
	"slices"
	"testing"
	"time"

	"go.uber.org/goleak"
	"pgregory.net/rapid"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const epoch = "e1"

func at(offset uint64) Position { return Position{epoch, offset} }

// good is a room in which all is well: a and b send six messages, two of them of a with echo off; a, b and c read, c with a pause and with
// what it missed, d comes late.
func good() Room {
	var r Room
	r.Name, r.Keeps = "r", Everything
	ids := []ID{{"a", 1}, {"b", 1}, {"a", 2}, {"a", 3}, {"b", 2}, {"a", 4}}
	for i, id := range ids {
		r.Publishes = append(r.Publishes, Publish{ID: id, Silent: id == ID{"a", 2} || id == ID{"a", 4}, Begun: second(2 * i), Acked: second(2*i + 1), At: at(uint64(i) + 1), Tries: 1})
		r.Log = append(r.Log, Seen{id, at(uint64(i) + 1)})
	}
	get := func(offsets ...uint64) (events []Event) {
		for _, o := range offsets {
			events = append(events, Event{Kind: Message, Time: second(int(o) * 2), ID: ids[o-1], At: at(o)})
		}
		return events
	}
	join := func(o uint64) Event { return Event{Kind: Joined, At: at(o)} }
	back := func(o uint64) Event { return Event{Kind: Joined, At: at(o), Since: new(at(o)), Recovered: true} }
	r.Readers = []Reader{
		{"a", slices.Concat([]Event{join(0)}, get(1, 2, 4, 5)), true},
		{"b", slices.Concat([]Event{join(0)}, get(1, 2, 3, 4, 5, 6)), true},
		{"c", slices.Concat([]Event{join(0)}, get(1, 2), []Event{{Kind: Lost}, back(2)}, get(3, 4, 5), []Event{{Kind: Lost}, back(5)}, get(6)), true},
		{"d", slices.Concat([]Event{join(4)}, get(5), []Event{{Kind: Lost}}), false},
	}
	return r
}

func second(n int) time.Duration { return time.Duration(n+1) * time.Second }

// drop takes event i away from a reader.
func drop(r *Room, reader, i int) {
	r.Readers[reader].Events = slices.Delete(slices.Clone(r.Readers[reader].Events), i, i+1)
}

func TestGood(t *testing.T) {
	if found := Check(good()); len(found) > 0 {
		t.Errorf("all is well, and Check finds %v", found)
	}
	f := Measure(good())
	if f.Due != 4+6+6 || f.Delivered != f.Due || f.Restored != 2 || f.Recovered != 2 || f.Twice+f.Disordered != 0 {
		t.Errorf("Measure = %+v", f)
	}
}

// TestViolations breaks a good room in every way that there is a rule for, and some more.
func TestViolations(t *testing.T) {
	for name, broken := range map[string]struct {
		rule Rule
		how  func(*Room)
	}{
		"an acknowledged message is not in the history": {RuleLost, func(r *Room) { r.Log = r.Log[:5] }},
		"one is in the history twice": {RuleTwice, func(r *Room) {
			r.Log = append(r.Log, Seen{ID{"b", 1}, at(7)})
		}},
		"two readers see two orders":      {RuleOrder, func(r *Room) { r.Readers[1].Events[3].ID, r.Readers[1].Events[4].ID = ID{"a", 3}, ID{"a", 2} }},
		"an ack names another's position": {RuleOrder, func(r *Room) { r.Publishes[1].At = at(1) }},
		"a later message stands before an earlier": {RuleTime, func(r *Room) {
			r.Publishes[1].Begun, r.Publishes[1].Acked = second(20), second(21)
			r.Publishes[4].Begun = second(22)
		}},
		"the history has a hole": {RuleHole, func(r *Room) { r.Log = slices.Delete(r.Log, 2, 3) }},
		"the history has another epoch": {RuleHole, func(r *Room) {
			r.Log[5].At.Epoch, r.Publishes[5].At.Epoch = "e2", "e2"
		}},
		"a reader asks for more and is in another epoch": {RuleHole, func(r *Room) {
			r.Readers[2].Events[4].Recovered, r.Readers[2].Events[4].At = false, Position{"e2", 0}
		}},
		"own message with echo off": {RuleOwn, func(r *Room) {
			r.Readers[0].Events = slices.Insert(slices.Clone(r.Readers[0].Events), 3, Event{Kind: Message, ID: ID{"a", 2}, At: at(3)})
		}},
		"a reader misses one":                                    {RuleSilentGap, func(r *Room) { drop(r, 1, 3) }},
		"a reader misses one of what is replayed":                {RuleSilentGap, func(r *Room) { drop(r, 2, 5) }},
		"the sender misses another's while its own are left out": {RuleSilentGap, func(r *Room) { drop(r, 0, 3) }},
		"told of a gap that could have been filled": {RuleFalseGap, func(r *Room) {
			r.Readers[2].Events[4].Recovered, r.Readers[2].Events[4].At = false, at(4)
			drop(r, 2, 5)
			drop(r, 2, 5)
		}},
		"told of a gap that there was none": {RuleFalseGap, func(r *Room) {
			r.Readers[1].Events = slices.Insert(slices.Clone(r.Readers[1].Events), 3, Event{Kind: Gap, Missed: 2})
		}},
		"told of one missing where it is two": {RuleSilentGap, func(r *Room) {
			drop(r, 1, 3)
			r.Readers[1].Events[3] = Event{Kind: Gap, Missed: 1}
		}},
		"the last one does not come":        {RuleMissing, func(r *Room) { drop(r, 1, 6) }},
		"a reader that stayed never got in": {RuleMissing, func(r *Room) { r.Readers[1].Events = nil }},
		"one comes twice": {RuleTwice, func(r *Room) {
			r.Readers[1].Events = slices.Insert(slices.Clone(r.Readers[1].Events), 3, r.Readers[1].Events[2])
		}},
		"one comes again after a reconnect": {RuleTwice, func(r *Room) {
			r.Readers[2].Events = slices.Insert(slices.Clone(r.Readers[2].Events), 5, r.Readers[2].Events[2])
		}},
		"a replay begins elsewhere":  {RuleUnanswered, func(r *Room) { r.Readers[2].Events[4].At = at(3) }},
		"the room has fallen back":   {RuleOrder, func(r *Room) { e := &r.Readers[2].Events[4]; e.Recovered, e.At = false, at(1) }},
		"a message that nobody sent": {RuleInvented, func(r *Room) { r.Log = append(r.Log, Seen{ID{"x", 1}, at(7)}) }},
		"a message before the join":  {RuleUnexpected, func(r *Room) { drop(r, 3, 0) }},
	} {
		t.Run(name, func(t *testing.T) {
			r := good()
			broken.how(&r)
			expect(t, Check(r), broken.rule)
		})
	}
}

func expect(t *testing.T, found []Violation, rule Rule) {
	t.Helper()
	if !slices.ContainsFunc(found, func(v Violation) bool { return v.Rule == rule }) {
		t.Errorf("Check finds %v, not %q", found, rule)
	}
}

// TestShort is a room that keeps three messages: what is older may be declared lost, and must be.
func TestShort(t *testing.T) {
	r := good()
	r.Keeps, r.Log = 3, nil
	gap := func(since, now uint64) {
		r.Readers[2].Events = []Event{{Kind: Joined, At: at(since - 1)}, {Kind: Message, ID: r.Publishes[since-1].ID, At: at(since)}, {Kind: Lost},
			{Kind: Joined, Since: new(at(since)), At: at(now)}, {Kind: Message, Time: second(12), ID: ID{"a", 4}, At: at(6)}}
	}
	gap(1, 5)
	if found := Check(r); len(found) > 0 {
		t.Errorf("four messages are missing where three are kept, the reader is told so, and Check finds %v", found)
	}
	gap(2, 5)
	expect(t, Check(r), RuleFalseGap)
	r.Readers[2].Events[3].Time = second(12)
	if found := Check(r); len(found) > 0 {
		t.Errorf("the reader's node does not know yet that the room has gone on, and what is missing is forgotten; Check finds %v", found)
	}
	r.Readers[2].Events[3].Time = 0
	r.Replays = 2
	if found := Check(r); len(found) > 0 {
		t.Errorf("three messages are missing where a replay has room for two, the reader is told so, and Check finds %v", found)
	}
	r.Replays = 0
	gap(1, 5)
	r.Readers[2].Events[3].Recovered, r.Readers[2].Events[3].At = true, at(1)
	expect(t, Check(r), RuleSilentGap)
}

// TestLive is a room without history.
func TestLive(t *testing.T) {
	live := func(events ...Event) []Violation {
		r := Room{Name: "live", Publishes: []Publish{
			{ID: ID{"a", 1}, Begun: second(1), Acked: second(2)}, {ID: ID{"a", 2}, Silent: true}, {ID: ID{"a", 3}, Begun: second(3), Acked: second(5)},
			{ID: ID{"a", 4}, Conn: 1, Begun: second(9)}, {ID: ID{"a", 5}, Begun: second(4)},
		},
			Readers: []Reader{{"a", events, true}}}
		return Check(r)
	}
	get := func(seq int) Event { return Event{Kind: Message, ID: ID{"a", seq}} }
	if found := live(get(1), get(3)); len(found) > 0 {
		t.Errorf("nothing is wrong, and Check finds %v", found)
	}
	if found := live(get(5), get(3)); len(found) > 0 {
		t.Errorf("two that were sent at the same time may come in any order, and Check finds %v", found)
	}
	if found := live(get(4), get(1), Event{Kind: Joined, Since: new(Position{})}); len(found) > 0 {
		t.Errorf("two over two connections may come in any order, and Check finds %v", found)
	}
	if found := live(get(3), Event{Kind: Lost}, Event{Kind: Joined}, get(1), get(3)); len(found) > 0 {
		t.Errorf("over another connection what was late comes again, and Check finds %v", found)
	}
	expect(t, live(get(1), get(1)), RuleTwice)
	expect(t, live(get(3), get(1)), RuleOrder)
	expect(t, live(get(2)), RuleOwn)
	expect(t, live(get(9)), RuleInvented)
	expect(t, live(Event{Kind: Joined, Recovered: true}), RuleUnexpected)
}

func TestMembers(t *testing.T) {
	if found := CheckMembers("r", "n1", []string{"b", "a"}, []string{"a", "b"}); len(found) > 0 {
		t.Errorf("all are shown, and CheckMembers finds %v", found)
	}
	expect(t, CheckMembers("r", "n1", []string{"a"}, []string{"a", "b"}), RulePresence)
	expect(t, CheckMembers("r", "n1", []string{"a", "b"}, []string{"a"}), RulePresence)
	expect(t, CheckMembers("r", "n1", []string{"a", "a"}, []string{"a"}), RulePresence)
}

// TestAnyLoss takes any message away from any reader of a good room, or gives it twice, or swaps two: Check finds all of it.
func TestAnyLoss(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := good()
		reader := &r.Readers[rapid.IntRange(0, 2).Draw(t, "reader")]
		var messages []int
		for i, e := range reader.Events {
			if e.Kind == Message {
				messages = append(messages, i)
			}
		}
		n := rapid.IntRange(0, len(messages)-2).Draw(t, "message")
		i, next := messages[n], messages[n+1]
		reader.Events = slices.Clone(reader.Events)
		switch rapid.SampledFrom([]string{"lost", "twice", "swapped"}).Draw(t, "how") {
		case "lost":
			reader.Events = slices.Delete(reader.Events, i, i+1)
		case "twice":
			reader.Events = slices.Insert(reader.Events, next, reader.Events[i])
		case "swapped":
			reader.Events[i], reader.Events[next] = reader.Events[next], reader.Events[i]
		}
		if len(Check(r)) == 0 {
			t.Fatalf("Check finds nothing in %v", reader.Events)
		}
	})
}
