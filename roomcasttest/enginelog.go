package roomcasttest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/roomcast/roomcast"
)

func (s *suite) testPublish(t *testing.T) {
	t.Run("sets the positions, from 1 and without a gap", s.publishSetsPositions)
	t.Run("has delivered to this node when it returns", s.publishHasDelivered)
	t.Run("has one order on all nodes", s.publishOneOrder)
	t.Run("carries all of an entry", s.publishCarries)
	t.Run("keeps nothing of what it was given", s.publishKeepsNothing)
	t.Run("takes large entries", s.publishLarge)
	t.Run("of nothing does nothing", s.publishNothing)
	t.Run("heeds its context", s.publishHeedsContext)
}

func (s *suite) publishSetsPositions(t *testing.T) {
	a, b, c := s.nodes[0], s.nodes[1], s.nodes[2]
	room := s.name("log/")
	var all []roomcast.Entry
	for _, node := range []roomcast.Engine{a, b, c, a} {
		all = append(all, publish(t, node, room, numbered(node.Node()+"/", 3)...)...)
	}
	follows(t, roomcast.Position{Epoch: all[0].Position.Epoch}, all)
}

func (s *suite) publishHasDelivered(t *testing.T) {
	a, b := s.nodes[0], s.nodes[1]
	room := s.name("log/")
	here := subscribe(t, a, room)
	want := publish(t, a, room, numbered("first/", 3)...)
	same(t, "delivered when Publish had returned", here.exactly(t, 3), want)
	want = append(want, publish(t, b, room, numbered("elsewhere/", 20)...)...)
	want = append(want, publish(t, a, room, numbered("second/", 2)...)...)
	same(t, "delivered when Publish had returned, what another node had published just before included", here.exactly(t, 25), want)
}

func (s *suite) publishCarries(t *testing.T) {
	a, b := s.nodes[0], s.nodes[1]
	room := s.name("log/")
	taps := []*tap{subscribe(t, a, room), subscribe(t, b, room)}
	want := publish(t, a, room, carried()...)
	for _, p := range taps {
		same(t, "delivered on node "+p.node, p.wait(t, len(want)), want)
	}
	for _, node := range s.nodes {
		eventuallyHistory(t, node, room, roomcast.Position{}, 100, want)
	}
}

func (s *suite) publishKeepsNothing(t *testing.T) {
	a, b := s.nodes[0], s.nodes[1]
	room := s.name("log/")
	here, there := subscribe(t, a, room), subscribe(t, b, room)
	entry := roomcast.Entry{Message: roomcast.Text("as it was"), Except: []string{"somebody"}}
	want := publish(t, a, room, entry)[0]
	want.Data, want.Except = []byte("as it was"), []string{"somebody"}
	copy(entry.Data, "altered!!")
	entry.Except[0] = "altered"
	same(t, "delivered here", here.wait(t, 1), []roomcast.Entry{want})
	same(t, "delivered on another node", there.wait(t, 1), []roomcast.Entry{want})
	same(t, "in the history", history(t, a, room, roomcast.Position{}, 1), []roomcast.Entry{want})
}

func (s *suite) publishLarge(t *testing.T) {
	a, b, c := s.nodes[0], s.nodes[1], s.nodes[2]
	room := s.name("log/")
	here, there := subscribe(t, a, room), subscribe(t, b, room)
	want := publish(t, a, room, large("x"), large("y"), large("z"))
	same(t, "delivered here", here.exactly(t, 3), want)
	same(t, "delivered on another node", there.wait(t, 3), want)
	eventuallyHistory(t, c, room, roomcast.Position{}, 3, want)
}

func (s *suite) publishNothing(t *testing.T) {
	a := s.nodes[0]
	room := s.name("log/")
	publish(t, a, room)
	first := publish(t, a, room, texts("first")...)
	follows(t, roomcast.Position{Epoch: first[0].Position.Epoch}, first)
}

func (s *suite) publishHeedsContext(t *testing.T) {
	a := s.nodes[0]
	room := s.name("log/")
	over, cancel := context.WithCancel(t.Context())
	cancel()
	if err := a.Publish(over, room, texts("late")); !errors.Is(err, context.Canceled) {
		t.Errorf("Publish with a context that is over returned %v, want context.Canceled", err)
	}
}

// carried is entries in which everything is set that an engine has to carry, and one with nothing.
func carried() []roomcast.Entry {
	return []roomcast.Entry{
		{Message: roomcast.Text("text, with \"quotes\", a\r\nnew line, a \x00 and ünïcödé 🎈")},
		{Message: roomcast.Binary([]byte{0, 1, 2, 0xff, 0xfe, '\r', '\n'})},
		{},
		{Message: roomcast.Message{Binary: true}},
		{Message: roomcast.Text("except one"), Except: []string{"session-1"}},
		{Message: roomcast.Text("except three"), Except: []string{"session-1", "Zwei", "x_3"}, Key: "cursor of Zoë: 1, 2"},
		{Message: roomcast.Text("once"), Once: "a key: with blanks, ünïcödé and " + strings.Repeat("x", 219)},
		{Message: roomcast.Binary([]byte("all")), Except: []string{"s"}, Key: "k", Once: "o"},
	}
}

// large is an entry of 512 KiB that begins with a text.
func large(text string) roomcast.Entry {
	data := bytes.Repeat([]byte(text), 512<<10/len(text))
	for i := len(text); i < len(data); i += 101 {
		data[i] = byte('a' + i%23)
	}
	return roomcast.Entry{Message: roomcast.Text(string(data))}
}

// publishOneOrder has all nodes publish to one room at once, twice each.
func (s *suite) publishOneOrder(t *testing.T) {
	const writers, publishes = 2, 40 // of 1 to 4 entries
	room := s.name("log/")
	var taps []*tap
	for _, node := range s.nodes {
		taps = append(taps, subscribe(t, node, room), subscribe(t, node, room))
	}
	var mu sync.Mutex
	var published []roomcast.Entry
	var tasks sync.WaitGroup
	for _, node := range s.nodes {
		for w := range writers {
			tasks.Go(func() {
				var mine []roomcast.Entry
				for i := range publishes {
					entries := numbered(fmt.Sprintf("%s/%d/%d/", node.Node(), w, i), i%4+1)
					if err := node.Publish(bounded(t), room, entries); err != nil {
						t.Errorf("Publish on node %q while others publish: %v", node.Node(), err)
						return
					}
					mine = append(mine, entries...)
				}
				if !slices.IsSortedFunc(mine, byOffset) {
					t.Errorf("what one publisher on node %q published in turn is not in that order: %s", node.Node(), list(mine))
				}
				mu.Lock()
				published = append(published, mine...)
				mu.Unlock()
			})
		}
	}
	if tasks.Wait(); t.Failed() {
		return
	}
	slices.SortFunc(published, byOffset)
	follows(t, roomcast.Position{Epoch: published[0].Position.Epoch}, published)
	for _, p := range taps {
		same(t, "delivered on node "+p.node, p.wait(t, len(published)), published)
	}
	for _, node := range s.nodes {
		eventuallyHistory(t, node, room, roomcast.Position{}, len(published), published)
	}
}

func byOffset(a, b roomcast.Entry) int {
	return int(int64(a.Position.Offset) - int64(b.Position.Offset))
}

func (s *suite) testSubscribe(t *testing.T) {
	t.Run("says where it begins", s.subscribeAt)
	t.Run("says where it begins in a room without entries", s.subscribeAtEmpty)
	t.Run("begins without a gap while others publish", s.subscribeAmid)
	t.Run("ends when cancelled, alone", s.subscribeCancelled)
	t.Run("is cancelled by deliveries", func(t *testing.T) { s.cancelledByDelivery(t, "log/", s.nodes[0]) })
	t.Run("is cancelled by deliveries, in rooms that keep nothing", func(t *testing.T) { s.cancelledByDelivery(t, "live/", s.nodes[1]) })
	t.Run("heeds its context", s.subscribeHeedsContext)
	t.Run("outlives its context", s.subscribeOutlivesContext)
}

func (s *suite) subscribeAt(t *testing.T) {
	a := s.nodes[0]
	room := s.name("log/")
	want := publish(t, a, room, numbered("before/", 5)...)
	p := subscribe(t, a, room)
	if p.at != want[4].Position {
		t.Fatalf("Subscribe after five entries is at %s, want %s, that of the last", place(p.at), place(want[4].Position))
	}
	want = publish(t, a, room, numbered("after/", 2)...)
	same(t, "delivered", p.exactly(t, 2), want)
}

func (s *suite) subscribeAtEmpty(t *testing.T) {
	a, b := s.nodes[0], s.nodes[1]
	room := s.name("log/")
	p, q := subscribe(t, a, room), subscribe(t, b, room)
	first := publish(t, b, room, texts("first")...)[0].Position
	for _, p := range []*tap{p, q} {
		if p.at.Epoch != first.Epoch || p.at.Offset != 0 {
			t.Errorf("Subscribe on node %q is at %s, and the first entry at %s: who comes back from there could not be told what he missed", p.node, place(p.at), place(first))
		}
	}
}

func (s *suite) subscribeCancelled(t *testing.T) {
	a, b := s.nodes[0], s.nodes[1]
	room := s.name("log/")
	p, q, r := subscribe(t, a, room), subscribe(t, a, room), subscribe(t, b, room)
	publish(t, a, room, texts("first")...)
	r.wait(t, 1)
	p.cancel()
	r.cancel()
	p.cancel() // a second time
	last := publish(t, a, room, texts("second", "third")...)[1].Position
	q.exactly(t, 3)
	p.exactly(t, 1)
	again := subscribe(t, b, room)
	if again.at != last {
		// What the node has not heard of yet is delivered.
		eventually(t, func() string {
			if got := again.got(); len(got) == 0 || got[len(got)-1].Position != last {
				return fmt.Sprintf("subscribed again, at %s, it has been delivered %s, want all up to %s", place(again.at), list(got), place(last))
			}
			return ""
		})
	}
	r.exactly(t, 1)
}

// cancelledByDelivery has a delivery of what the publisher publishes cancel its own subscription and that of another room.
func (s *suite) cancelledByDelivery(t *testing.T, kind string, publisher roomcast.Engine) {
	a, cancels, over := s.nodes[0], make(chan func(), 2), make(chan bool)
	p := subscribeThen(t, a, s.name(kind), func() {
		for range len(cancels) {
			if (<-cancels)(); len(cancels) == 0 {
				close(over)
			}
		}
	})
	other := subscribe(t, a, s.name(kind))
	taps := []*tap{p, other, subscribe(t, a, p.room), subscribe(t, a, other.room)}
	if kind == "live/" {
		open(t, publisher, taps...)
	}
	cancels <- p.cancel
	cancels <- other.cancel
	hangs := time.AfterFunc(patience, func() { // not t.Fatal: the end of the test would wait for the same
		panic("on node " + p.node + " a delivery calls cancel, which does not return; or nothing was delivered")
	})
	go func() { _ = publisher.Publish(context.Background(), p.room, texts("last")) }()
	<-over
	hangs.Stop()
	for _, stays := range taps[2:] {
		eventually(t, func() string {
			publish(t, publisher, stays.room, texts("later")...)
			if !stays.has("later") {
				return fmt.Sprintf("nothing is delivered to %.60q on node %q any more, where another subscription was cancelled by a delivery", stays.room, stays.node)
			}
			return ""
		})
	}
	if !p.has("last") || p.has("later") || other.has("later") {
		t.Errorf("cancelled by a delivery, the subscriptions have been delivered %s and %s", list(p.got()), list(other.got()))
	}
}

func (s *suite) subscribeHeedsContext(t *testing.T) {
	a := s.nodes[0]
	room := s.name("log/")
	over, cancel := context.WithCancel(t.Context())
	cancel()
	p := &tap{node: a.Node(), room: room}
	if _, _, err := a.Subscribe(over, room, p.deliver); !errors.Is(err, context.Canceled) {
		t.Fatalf("Subscribe with a context that is over returned %v, want context.Canceled", err)
	}
	publish(t, a, room, texts("first")...)
	if got := p.got(); len(got) > 0 {
		t.Errorf("Subscribe failed, and was delivered %s", list(got))
	}
}

func (s *suite) subscribeOutlivesContext(t *testing.T) {
	a, b := s.nodes[0], s.nodes[1]
	room := s.name("log/")
	ctx, over := context.WithCancel(t.Context())
	p := &tap{node: a.Node(), room: room}
	_, cancel, err := a.Subscribe(ctx, room, p.deliver)
	if err != nil {
		t.Fatal(err)
	}
	defer cancel()
	over()
	want := publish(t, b, room, texts("first")...)
	same(t, "delivered after the context of Subscribe was over", p.wait(t, 1), want)
}

// subscribeAmid subscribes again and again, on all nodes, while somebody publishes.
func (s *suite) subscribeAmid(t *testing.T) {
	const most, subscriptions = 3000, 100
	room := s.name("log/")
	enough := make(chan struct{})   // closed when there are all subscriptions
	going := make(chan struct{}, 1) // something has been published; closed when nothing will be any more
	published := make(chan []roomcast.Entry, 1)
	go func() {
		defer close(going)
		var all []roomcast.Entry
		for open := true; open && len(all) < most; {
			one := texts(fmt.Sprint(len(all)))
			if err := s.nodes[len(all)%2].Publish(bounded(t), room, one); err != nil {
				t.Errorf("Publish while others subscribe: %v", err)
				break
			}
			all = append(all, one...)
			select {
			case <-enough:
				open = false
			case going <- struct{}{}:
			default:
			}
		}
		published <- all
	}()
	var taps []*tap
	func() {
		defer close(enough)
		for i := range subscriptions {
			<-going
			taps = append(taps, subscribe(t, s.nodes[i%3], room))
		}
	}()
	all := <-published
	if t.Failed() {
		return
	}
	for _, p := range taps {
		if p.at.Offset > uint64(len(all)) {
			t.Fatalf("Subscribe on node %q is at %s, and there are %d entries", p.node, place(p.at), len(all))
		}
		same(t, "delivered from "+place(p.at)+" on node "+p.node, p.wait(t, len(all)-int(p.at.Offset)), all[p.at.Offset:])
	}
}
