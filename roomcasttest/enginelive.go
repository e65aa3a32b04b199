package roomcasttest

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/roomcast/roomcast"
)

// probe is what is published until the way between two nodes is known to be open; taps are asked for what follows.
const probe = "probe"

// rest returns what was delivered without the probes. In a room that keeps nothing, no entry has a position.
func (p *tap) rest(t *testing.T) []roomcast.Entry {
	t.Helper()
	if p.overlap.Load() {
		t.Fatalf("the subscription to %.60q on node %q was called while another call was under way", p.room, p.node)
	}
	got := p.got()
	for _, e := range got {
		if e.Position != (roomcast.Position{}) || e.Again {
			t.Fatalf("%.40q is at %s with Again %t, in a room that keeps no history", e.String(), place(e.Position), e.Again)
		}
	}
	return slices.DeleteFunc(got, func(e roomcast.Entry) bool { return e.String() == probe })
}

// open publishes probes on a node until all taps have had one.
func open(t *testing.T, node roomcast.Engine, taps ...*tap) {
	t.Helper()
	for _, p := range taps {
		if p.at != (roomcast.Position{}) {
			t.Fatalf("Subscribe(%.60q) on node %q is at %s, want the zero Position: the room keeps no history", p.room, p.node, place(p.at))
		}
		before := len(p.got())
		eventually(t, func() string {
			publish(t, node, p.room, texts(probe)...)
			if len(p.got()) == before {
				return fmt.Sprintf("nothing that node %q publishes to %.60q is delivered on node %q", node.Node(), p.room, p.node)
			}
			return ""
		})
	}
}

// sent publishes an entry and waits until all taps have it.
func sent(t *testing.T, node roomcast.Engine, e roomcast.Entry, taps ...*tap) {
	t.Helper()
	before := make([]int, len(taps))
	for i, p := range taps {
		before[i] = len(p.rest(t))
	}
	if e = publish(t, node, taps[0].room, e)[0]; e.Position != (roomcast.Position{}) || e.Again {
		t.Fatalf("Publish to a room that keeps no history set the Position to %s and Again to %t", place(e.Position), e.Again)
	}
	for i, p := range taps {
		eventually(t, func() string {
			if got := p.rest(t); len(got) == before[i] {
				return fmt.Sprintf("%.40q, published to %.60q by node %q, has not been delivered on node %q", e.String(), p.room, node.Node(), p.node)
			}
			return ""
		})
		got := p.rest(t)
		same(t, "delivered on node "+p.node, got[len(got)-1:], []roomcast.Entry{e})
	}
}

func (s *suite) testLive(t *testing.T) {
	t.Run("goes to the other nodes, not to this one", s.liveToOthers)
	t.Run("carries all of an entry", s.liveCarries)
	t.Run("keeps nothing of what it was given", s.liveKeepsNothing)
	t.Run("is in the order of each publisher", s.liveOrder)
	t.Run("ends when cancelled, alone", s.liveCancelled)
	t.Run("has no history", s.liveHasNoHistory)
}

func (s *suite) liveToOthers(t *testing.T) {
	a, b, c := s.nodes[0], s.nodes[1], s.nodes[2]
	room := s.name("live/")
	here, there, too, also := subscribe(t, a, room), subscribe(t, b, room), subscribe(t, b, room), subscribe(t, c, room)
	open(t, a, there, too, also)
	for i := range 20 {
		sent(t, a, texts(fmt.Sprint(i))[0], there, too, also)
	}
	if got := here.got(); len(got) > 0 {
		t.Errorf("node %q published, and was delivered %s itself", here.node, list(got))
	}
}

func (s *suite) liveCarries(t *testing.T) {
	a, b := s.nodes[0], s.nodes[1]
	room := s.name("live/")
	there := subscribe(t, b, room)
	open(t, a, there)
	for _, e := range carried() {
		sent(t, a, e, there)
	}
	sent(t, a, large("x"), there)
}

func (s *suite) liveKeepsNothing(t *testing.T) {
	a, b := s.nodes[0], s.nodes[1]
	room := s.name("live/")
	there := subscribe(t, b, room)
	open(t, a, there)
	for range 20 {
		e := texts("as it was")[0]
		publish(t, a, room, e)
		copy(e.Data, "altered!!")
	}
	eventually(t, func() string {
		publish(t, a, room, texts("last")...)
		if !there.has("last") {
			return fmt.Sprintf("what node %q publishes to %q is not delivered on node %q any more", a.Node(), room, there.node)
		}
		return ""
	})
	for _, e := range there.rest(t) {
		if e.String() != "as it was" && e.String() != "last" {
			t.Fatalf("delivered %q, which was altered after Publish had returned", e.String())
		}
	}
}

func (s *suite) liveCancelled(t *testing.T) {
	a, b := s.nodes[0], s.nodes[1]
	room := s.name("live/")
	p, q := subscribe(t, b, room), subscribe(t, b, room)
	open(t, a, p, q)
	sent(t, a, texts("first")[0], p, q)
	p.cancel()
	for i := range 5 {
		sent(t, a, texts(fmt.Sprint(i))[0], q)
	}
	if got := p.rest(t); len(got) != 1 {
		t.Errorf("a subscription that was cancelled after the first entry was delivered %s", list(got))
	}
}

func (s *suite) liveHasNoHistory(t *testing.T) {
	a := s.nodes[0]
	room := s.name("live/")
	publish(t, a, room, numbered("", 5)...)
	if got := history(t, a, room, roomcast.Position{}, 10); len(got) > 0 {
		t.Errorf("a room that keeps no history has %s", list(got))
	}
}

// liveOrder has two nodes publish at once: a third is delivered what each publishes in that order, none twice.
func (s *suite) liveOrder(t *testing.T) {
	const publishes = 200 // of three entries each
	room := s.name("live/")
	p := subscribe(t, s.nodes[2], room)
	var tasks sync.WaitGroup
	for _, node := range s.nodes[:2] {
		open(t, node, p)
		tasks.Go(func() {
			for i := range publishes {
				entries := make([]roomcast.Entry, 3)
				for j := range entries {
					entries[j].Message = roomcast.Text(fmt.Sprintf("%s=%06d", node.Node(), 3*i+j))
				}
				if err := node.Publish(bounded(t), room, entries); err != nil {
					t.Errorf("Publish on node %q: %v", node.Node(), err)
				}
			}
		})
	}
	if tasks.Wait(); t.Failed() {
		return
	}
	for _, node := range s.nodes[:2] {
		last := node.Node() + "=the last"
		eventually(t, func() string {
			publish(t, node, room, texts(last)...)
			if !p.has(last) {
				return fmt.Sprintf("nothing that node %q publishes to %q is delivered any more", node.Node(), room)
			}
			return ""
		})
	}
	latest := map[string]string{}
	for _, e := range p.rest(t) {
		from, number, _ := strings.Cut(e.String(), "=")
		if number <= latest[from] && number != "the last" {
			t.Fatalf("number %s of node %q was delivered after %s", number, from, latest[from])
		}
		latest[from] = number
	}
}

// testRooms has rooms whose names are alike, or difficult.
func (s *suite) testRooms(t *testing.T) {
	names := []string{"a", "A", "a.b", "a/b", "a.*", "a.>", "*", ">", "$SYS.a", "a b", "a\tb\r\n", "a\x00b", "\x01node/a", "%41", `"a"`, `a\b`, "ä", "a\u0308", "🎈", "{a}", "a:b", "-", "_", "a="}
	for _, kind := range []string{"log/", "live/", "", "\x01"} {
		t.Run(fmt.Sprintf("of any name that begins with %q", kind), func(t *testing.T) {
			var taps []*tap
			for _, name := range append(names, strings.Repeat("é", 120), "") {
				room := kind + s.run + name
				if name == "" {
					room += strings.Repeat("x", 255-len(room))
				}
				taps = append(taps, subscribe(t, s.nodes[1], room))
			}
			for _, p := range taps {
				if kind == "live/" || kind == "\x01" {
					open(t, s.nodes[0], p)
				}
				publish(t, s.nodes[0], p.room, texts(p.room)...)
			}
			for _, p := range taps {
				eventually(t, func() string {
					if !p.has(p.room) {
						return fmt.Sprintf("nothing published to %q has been delivered", p.room)
					}
					return ""
				})
				for _, e := range p.got() {
					if e.String() != p.room && e.String() != probe {
						t.Errorf("%q has been delivered what was published to %q", p.room, e.String())
					}
				}
			}
		})
	}

	t.Run("can be many", func(t *testing.T) {
		const rooms, publishers = 400, 8
		taps := make([]*tap, rooms)
		for i := range taps {
			taps[i] = subscribe(t, s.nodes[1], s.name("log/"))
		}
		var tasks sync.WaitGroup
		for w := range publishers {
			tasks.Go(func() {
				for i := w; i < rooms; i += publishers {
					if err := s.nodes[0].Publish(bounded(t), taps[i].room, texts("1", "2")); err != nil {
						t.Errorf("Publish to %q: %v", taps[i].room, err)
					}
				}
			})
		}
		if tasks.Wait(); t.Failed() {
			return
		}
		for _, p := range taps {
			p.wait(t, 2)
			p.cancel()
		}
	})
}
