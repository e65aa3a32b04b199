package roomcasttest

import (
	"context"
	"fmt"
	"sync"
	"testing"

	"github.com/roomcast/roomcast"
)

// once returns an entry with an idempotency key.
func once(key, text string) roomcast.Entry {
	return roomcast.Entry{Message: roomcast.Text(text), Once: key}
}

func (s *suite) testOnce(t *testing.T) {
	t.Run("is stored once, whatever node it is repeated on", s.onceOnAnyNode)
	t.Run("is a matter of one room", s.onceInOneRoom)
	t.Run("mixes with others in one call", s.onceMixed)
	t.Run("is known when its entry is kept no more", s.onceOutlivesEntry)
	t.Run("is stored once when all publish it at once", s.onceTogether)
	t.Run("is safe to repeat after an error", s.onceAfterError)
	t.Run("is delivered on a node before it is acknowledged there again", s.onceDelivered)
}

func (s *suite) onceOnAnyNode(t *testing.T) {
	a, b := s.nodes[0], s.nodes[1]
	room := s.name("log/")
	p := subscribe(t, a, room)
	first := publish(t, a, room, once("k", "first"))[0]
	if first.Again {
		t.Fatal("the first with its key has Again set")
	}
	for _, node := range []roomcast.Engine{a, b, s.nodes[2]} {
		again := publish(t, node, room, once("k", "again"))[0]
		if !again.Again || again.Position != first.Position {
			t.Fatalf("published again on node %q it is at %s with Again %t, want %s, that of the first, and true",
				node.Node(), place(again.Position), again.Again, place(first.Position))
		}
	}
	other := publish(t, b, room, once("K", "another key"))[0]
	same(t, "delivered", p.wait(t, 2), []roomcast.Entry{first, other})
	same(t, "in the history", history(t, b, room, roomcast.Position{}, 10), []roomcast.Entry{first, other})
}

func (s *suite) onceInOneRoom(t *testing.T) {
	a := s.nodes[0]
	for _, room := range []string{s.name("log/"), s.name("log/"), s.name("short/")} {
		if e := publish(t, a, room, once("the same key", "first"))[0]; e.Again || e.Position.Offset != 1 {
			t.Errorf("the first entry of a room is at %s with Again %t, because of another room", place(e.Position), e.Again)
		}
	}
}

func (s *suite) onceMixed(t *testing.T) {
	a, b := s.nodes[0], s.nodes[1]
	room := s.name("log/")
	p := subscribe(t, a, room)
	first := publish(t, b, room, once("1", "one"))[0]
	got := publish(t, a, room, texts("two")[0], once("1", "one again"), once("3", "three"), once("3", "three again"), texts("four")[0])
	if !got[1].Again || !got[3].Again || got[0].Again || got[2].Again || got[4].Again {
		t.Errorf("of new, old, new, old, new entries in one call, Again is %t, %t, %t, %t, %t",
			got[0].Again, got[1].Again, got[2].Again, got[3].Again, got[4].Again)
	}
	if got[1].Position != first.Position || got[3].Position != got[2].Position {
		t.Errorf("repeated entries are at %s and %s, want %s and %s, those of the first",
			place(got[1].Position), place(got[3].Position), place(first.Position), place(got[2].Position))
	}
	same(t, "delivered", p.wait(t, 4), []roomcast.Entry{first, got[0], got[2], got[4]})
}

func (s *suite) onceOutlivesEntry(t *testing.T) {
	a := s.nodes[0]
	room := s.name("short/")
	first := publish(t, a, room, once("k", "first"))[0]
	for i := range 3 * shortMessages {
		publish(t, a, room, texts(fmt.Sprint(i))...)
	}
	again := publish(t, a, room, once("k", "again"))[0]
	if !again.Again || again.Position != first.Position && again.Position != (roomcast.Position{}) {
		t.Errorf("published again after %d others it is at %s with Again %t, want %s, that of the first, or the zero Position, and true",
			3*shortMessages, place(again.Position), again.Again, place(first.Position))
	}
}

func (s *suite) onceAfterError(t *testing.T) {
	a, b := s.nodes[0], s.nodes[1]
	room := s.name("log/")
	p := subscribe(t, b, room)
	const tries = 20
	for i := range tries {
		key := fmt.Sprint(i)
		hasty, cancel := context.WithCancel(t.Context())
		var tasks sync.WaitGroup
		tasks.Go(func() { _ = a.Publish(hasty, room, []roomcast.Entry{once(key, key)}) }) // whether it is stored is a matter of luck
		cancel()
		tasks.Wait()
		publish(t, b, room, once(key, key))
	}
	for i, e := range p.wait(t, tries) {
		if e.Once != fmt.Sprint(i) {
			t.Fatalf("entry %d has the key %q: each should be stored once, in turn", i, e.Once)
		}
	}
}

func (s *suite) onceDelivered(t *testing.T) {
	a, b := s.nodes[0], s.nodes[1]
	room := s.name("log/")
	p := subscribe(t, b, room)
	for i := range 20 {
		e := once(fmt.Sprint(i), fmt.Sprint(i))
		publish(t, a, room, e)
		publish(t, b, room, e)
		p.exactly(t, i+1)
	}
}

// onceTogether has everybody publish the same keys at the same time.
func (s *suite) onceTogether(t *testing.T) {
	const keys, publishers = 20, 2 // on each node
	room := s.name("log/")
	p := subscribe(t, s.nodes[0], room)
	var mu sync.Mutex
	stored := map[string]int{}
	places := map[string]map[roomcast.Position]bool{}
	var tasks sync.WaitGroup
	for _, node := range s.nodes {
		for range publishers {
			tasks.Go(func() {
				for k := range keys {
					e := []roomcast.Entry{once(fmt.Sprint("key ", k), fmt.Sprint("text ", k))}
					if err := node.Publish(bounded(t), room, e); err != nil {
						t.Errorf("Publish on node %q while others publish the same: %v", node.Node(), err)
						return
					}
					mu.Lock()
					if places[e[0].Once] == nil {
						places[e[0].Once] = map[roomcast.Position]bool{}
					}
					places[e[0].Once][e[0].Position] = true
					if !e[0].Again {
						stored[e[0].Once]++
					}
					mu.Unlock()
				}
			})
		}
	}
	if tasks.Wait(); t.Failed() {
		return
	}
	for key, at := range places {
		if len(at) != 1 || stored[key] != 1 {
			t.Errorf("%q: %d publishers were told that theirs is the first, at %d positions; want one, and all the same position", key, stored[key], len(at))
		}
	}
	for _, e := range p.wait(t, keys) {
		if !places[e.Once][e.Position] {
			t.Errorf("%q has been delivered at %s, and its publishers were told otherwise", e.Once, place(e.Position))
		}
	}
}
