package roomcasttest

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/roomcast/roomcast"
)

// eventuallyHistory waits until a node, which may be another than that of the publisher, knows exactly these entries.
func eventuallyHistory(t *testing.T, node roomcast.Engine, room string, since roomcast.Position, limit int, want []roomcast.Entry) {
	t.Helper()
	eventually(t, func() string {
		got, err := node.History(bounded(t), room, since, limit)
		if err != nil {
			return fmt.Sprintf("History(%.60q, %s, %d) on node %q: %v", room, place(since), limit, node.Node(), err)
		}
		if wrong := differ(got, want); wrong != "" {
			return fmt.Sprintf("History(%.60q, %s, %d) on node %q: %s", room, place(since), limit, node.Node(), wrong)
		}
		return ""
	})
}

// gone fails the test unless what follows since cannot be had.
func gone(t *testing.T, node roomcast.Engine, room string, since roomcast.Position, why string) {
	t.Helper()
	entries, err := node.History(bounded(t), room, since, 100)
	if !errors.Is(err, roomcast.ErrHistoryGone) {
		t.Errorf("History(%.60q, %s, 100) on node %q is %s, %v; want ErrHistoryGone: %s", room, place(since), node.Node(), list(entries), err, why)
	}
}

func (s *suite) testHistory(t *testing.T) {
	t.Run("follows a position, oldest first, up to the limit", s.historySince)
	t.Run("of the zero Position is the last ones", s.historyLast)
	t.Run("of a room without entries is none", s.historyNone)
	t.Run("is there for who comes back", s.historyForReturning)
	t.Run("of another epoch is gone", s.historyOfEpoch)
	t.Run("of a place that never was is gone", s.historyAhead)
	t.Run("heeds its context", s.historyHeedsContext)
}

func (s *suite) historySince(t *testing.T) {
	a, b := s.nodes[0], s.nodes[1]
	room := s.name("log/")
	var all []roomcast.Entry
	for i := range 6 {
		all = append(all, publish(t, a, room, numbered(fmt.Sprint(i, "/"), i+1)...)...)
	}
	start := roomcast.Position{Epoch: all[0].Position.Epoch}
	for since := range len(all) + 1 {
		at := start
		at.Offset = uint64(since)
		for _, limit := range []int{1, 2, 7, len(all), 1000} {
			want := all[since:min(len(all), since+limit)]
			what := fmt.Sprintf("History(%s, %d)", place(at), limit)
			same(t, what+" where it was published", history(t, a, room, at, limit), want)
		}
	}
	eventuallyHistory(t, b, room, start, 1000, all)
	eventuallyHistory(t, b, room, all[9].Position, 3, all[10:13])
}

func (s *suite) historyLast(t *testing.T) {
	a, b := s.nodes[0], s.nodes[1]
	room := s.name("log/")
	all := publish(t, a, room, numbered("", 7)...)
	all = append(all, publish(t, a, room, numbered("more/", 4)...)...)
	for _, limit := range []int{1, 2, 4, 5, 10, 11, 12, 1000} {
		want := all[max(0, len(all)-limit):]
		same(t, fmt.Sprintf("the last %d", limit), history(t, a, room, roomcast.Position{}, limit), want)
		eventuallyHistory(t, b, room, roomcast.Position{}, limit, want)
	}
}

func (s *suite) historyNone(t *testing.T) {
	a := s.nodes[0]
	for _, room := range []string{s.name("log/"), s.name("live/")} {
		if got := history(t, a, room, roomcast.Position{}, 10); len(got) > 0 {
			t.Errorf("History of %q, to which nobody has published, is %s", room, list(got))
		}
	}
}

func (s *suite) historyForReturning(t *testing.T) {
	a, b := s.nodes[0], s.nodes[1]
	room := s.name("log/")
	p := subscribe(t, a, room)
	publish(t, a, room, numbered("seen/", 3)...)
	last := p.exactly(t, 3)[2].Position
	p.cancel()
	missed := publish(t, b, room, numbered("missed/", 5)...)
	q := subscribe(t, s.nodes[2], room)
	publish(t, b, room, numbered("new/", 2)...)
	eventually(t, func() string {
		back, err := s.nodes[2].History(bounded(t), room, last, 1000)
		for len(back) > 0 && back[len(back)-1].Position.Offset > q.at.Offset {
			back = back[:len(back)-1]
		}
		if err != nil || len(back)+len(q.got()) != len(missed)+2 {
			return fmt.Sprintf("after %s, History up to %s is %s, %v, and %s has been delivered from there; want %d in all",
				place(last), place(q.at), list(back), err, list(q.got()), len(missed)+2)
		}
		follows(t, last, append(back, q.got()...))
		return ""
	})
}

func (s *suite) historyOfEpoch(t *testing.T) {
	a := s.nodes[0]
	room := s.name("log/")
	publish(t, a, room, numbered("", 3)...)
	for _, since := range []roomcast.Position{{Epoch: "never", Offset: 2}, {Epoch: "never"}, {Epoch: "never", Offset: 7}} {
		gone(t, a, room, since, "this epoch never was")
	}
	gone(t, a, s.name("log/"), roomcast.Position{Epoch: "never", Offset: 1}, "the room has no entries, and this epoch never was")
}

func (s *suite) historyAhead(t *testing.T) {
	a, room := s.nodes[0], s.name("log/")
	last := publish(t, a, room, numbered("", 3)...)[2].Position
	same(t, "what follows the last", history(t, a, room, last, 100), nil)
	for _, node := range s.nodes {
		subscribe(t, node, room)
		eventuallyHistory(t, node, room, last, 100, nil)
		for _, ahead := range []uint64{1, 2, 1000} {
			gone(t, node, room, roomcast.Position{Epoch: last.Epoch, Offset: last.Offset + ahead}, "the room has never come so far")
		}
	}
}

func (s *suite) historyHeedsContext(t *testing.T) {
	a := s.nodes[0]
	room := s.name("log/")
	publish(t, a, room, texts("first")...)
	over, cancel := context.WithCancel(t.Context())
	cancel()
	if got, err := a.History(over, room, roomcast.Position{}, 10); !errors.Is(err, context.Canceled) {
		t.Errorf("History with a context that is over is %s, %v; want context.Canceled", list(got), err)
	}
}

func (s *suite) testRetention(t *testing.T) {
	t.Run("by Messages", s.keepsMessages)
	t.Run("by Messages, of one call with more", s.keepsMessagesOfOneCall)
	t.Run("by Age", func(t *testing.T) { s.testAge(t, nil) })
	t.Run("by Age, with somebody subscribed", func(t *testing.T) { s.testAge(t, s.nodes[1]) })
	t.Run("by Bytes", s.keepsBytes)
}

func (s *suite) keepsMessages(t *testing.T) {
	a := s.nodes[0]
	room := s.name("short/")
	p := subscribe(t, s.nodes[1], room)
	var all []roomcast.Entry
	for i := range 5 {
		all = append(all, publish(t, a, room, numbered(fmt.Sprint(i, "/"), 5)...)...)
	}
	same(t, "delivered, whatever is kept", p.wait(t, len(all)), all)
	last := all[len(all)-shortMessages:]
	same(t, "the last ones", history(t, a, room, roomcast.Position{}, 100), last)
	edge := last[0].Position
	edge.Offset--
	same(t, "all that is kept", history(t, a, room, edge, 100), last)
	edge.Offset--
	gone(t, a, room, edge, "the entry right behind it is kept no more")
	edge.Offset = 0
	gone(t, a, room, edge, "the first entries are kept no more")
	eventuallyHistory(t, s.nodes[2], room, roomcast.Position{}, 100, last)
}

func (s *suite) keepsMessagesOfOneCall(t *testing.T) {
	a := s.nodes[0]
	room := s.name("short/")
	all := publish(t, a, room, numbered("", 3*shortMessages)...)
	follows(t, roomcast.Position{Epoch: all[0].Position.Epoch}, all)
	same(t, "the last ones", history(t, a, room, roomcast.Position{}, 100), all[2*shortMessages:])
}

func (s *suite) keepsBytes(t *testing.T) {
	a := s.nodes[0]
	rooms := []string{s.name("small/"), s.name("small/")}
	entry := roomcast.Entry{Message: roomcast.Text(string(make([]byte, smallBytes/16)))}
	var last roomcast.Entry
	for i := range 40 {
		last = publish(t, a, rooms[i/20], entry)[0]
	}
	eventually(t, func() string {
		total := 0
		for _, room := range rooms {
			for _, e := range history(t, a, room, roomcast.Position{}, 1000) {
				total += len(e.Data)
			}
		}
		if total > smallBytes {
			return fmt.Sprintf("the rooms of the kind keep %d bytes, want at most %d", total, smallBytes)
		}
		return ""
	})
	same(t, "what came last is kept", history(t, a, rooms[1], roomcast.Position{}, 1), []roomcast.Entry{last})
}

// testAge has a room forget all it has, with somebody subscribed on a node or without. What comes later has to fit: it goes on in the same
// epoch, or another one begins.
func (s *suite) testAge(t *testing.T, subscriber roomcast.Engine) {
	a, room := s.nodes[0], s.name("brief/")
	var p *tap
	if subscriber != nil {
		p = subscribe(t, subscriber, room)
	}
	old := publish(t, a, room, numbered("old/", 5)...)
	if p != nil {
		same(t, "delivered", p.wait(t, len(old)), old)
	}
	for _, node := range s.nodes {
		eventuallyHistory(t, node, room, roomcast.Position{}, 100, nil)
	}
	start, last := roomcast.Position{Epoch: old[0].Position.Epoch}, old[4].Position
	gone(t, a, room, start, "all that followed is too old")

	fresh := publish(t, a, room, texts("new/0", "new/1")...)
	if fresh[0].Position.Epoch == start.Epoch {
		follows(t, last, fresh)
	} else {
		follows(t, roomcast.Position{Epoch: fresh[0].Position.Epoch}, fresh)
		gone(t, a, room, last, "its epoch is over")
	}
	gone(t, a, room, start, "what followed is too old, and may not be left out")
	if p != nil {
		eventually(t, func() string {
			if got := p.got(); len(got) < 7 {
				return fmt.Sprintf("after the room had forgotten what it had, the subscription on node %q was delivered %s, want 7 entries", p.node, list(got))
			}
			return ""
		})
		same(t, "delivered", p.got(), append(old, fresh...))
	}
}
