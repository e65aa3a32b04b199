package roomcasttest

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/roomcast/roomcast"
)

// table is what one call of Watch has been told.
type table struct {
	node   string
	cancel func()

	busy    atomic.Bool // a call is under way
	overlap atomic.Bool // there was a call while another was under way

	mu      sync.Mutex
	calls   int
	members map[string]roomcast.Member
	infos   map[string][]string // all there were of a member, "gone" included
}

// watch watches until the end of the test.
func watch(t *testing.T, node roomcast.Engine) *table {
	w := &table{node: node.Node(), members: map[string]roomcast.Member{}, infos: map[string][]string{}}
	w.cancel = node.Watch(w.changed)
	t.Cleanup(w.cancel)
	return w
}

func (w *table) changed(members []roomcast.Member) {
	if !w.busy.CompareAndSwap(false, true) {
		w.overlap.Store(true)
	}
	defer w.busy.Store(false)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.calls++
	for _, m := range members {
		if m.Gone {
			delete(w.members, m.ID)
			w.infos[m.ID] = append(w.infos[m.ID], "gone")
			continue
		}
		m.Info = bytes.Clone(m.Info)
		w.members[m.ID] = m
		w.infos[m.ID] = append(w.infos[m.ID], string(m.Info))
	}
}

// story returns all there was of a member: each Info, and "gone".
func (w *table) story(id string) []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.infos[id])
}

// wrong says how a member differs in the table; "" if it does not.
func (w *table) wrong(want roomcast.Member) string {
	w.mu.Lock()
	defer w.mu.Unlock()
	m, there := w.members[want.ID]
	switch {
	case want.Gone && there:
		return fmt.Sprintf("node %q sees %s on node %q with %.40q, want it gone", w.node, m.ID, m.Node, m.Info)
	case want.Gone:
		return ""
	case !there:
		return fmt.Sprintf("node %q does not see %s, want it on node %q with %.40q", w.node, want.ID, want.Node, want.Info)
	case m.Node != want.Node || !bytes.Equal(m.Info, want.Info):
		return fmt.Sprintf("node %q sees %s on node %q with %.40q (%d bytes), want node %q and %.40q (%d bytes)",
			w.node, m.ID, m.Node, m.Info, len(m.Info), want.Node, want.Info, len(want.Info))
	}
	return ""
}

// see waits until all tables have a member as it is wanted.
func see(t *testing.T, want roomcast.Member, tables ...*table) {
	t.Helper()
	for _, w := range tables {
		eventually(t, func() string { return w.wrong(want) })
		if w.overlap.Load() {
			t.Fatalf("a watcher on node %q was called while another call was under way", w.node)
		}
	}
}

// present presents a member, and returns it as others ought to see it.
func present(node roomcast.Engine, id, info string) roomcast.Member {
	m := roomcast.Member{ID: id, Info: []byte(info)}
	node.Present(m)
	m.Node = node.Node()
	return m
}

// leave has a member go, and returns it as others ought to see it.
func leave(node roomcast.Engine, id string) roomcast.Member {
	m := roomcast.Member{ID: id, Gone: true}
	node.Present(m)
	return m
}

func (s *suite) testPresence(t *testing.T) {
	t.Run("Watch begins with all there are, and if that is nobody", s.watchNobody)
	t.Run("Watch begins with all there are, and goes on with every change", s.watchAll)
	t.Run("changes of a member come in their order", s.watchOrder)
	t.Run("a member that another node presents is that node's", s.presentTakeover)
	t.Run("takes members of any kind", s.presentAnyKind)
	t.Run("takes many members", s.presentMany)
	t.Run("Watch ends when cancelled, alone", s.watchCancelled)
}

// watchNobody is the first to look at who is there: unless somebody has stayed of former runs, nobody is.
func (s *suite) watchNobody(t *testing.T) {
	for _, node := range s.nodes {
		w := watch(t, node)
		eventually(t, func() string {
			w.mu.Lock()
			defer w.mu.Unlock()
			if w.calls == 0 {
				return fmt.Sprintf("a watcher on node %q has been told nothing, not that nobody is there", w.node)
			}
			return ""
		})
	}
}

func (s *suite) watchAll(t *testing.T) {
	a, b, c := s.nodes[0], s.nodes[1], s.nodes[2]
	one := present(a, s.name("m-"), "one")
	two := present(b, s.name("m-"), "two")
	early := watch(t, a)
	see(t, one, early)
	see(t, two, early)
	tables := []*table{early, watch(t, a), watch(t, b), watch(t, c)}
	see(t, one, tables...)
	see(t, two, tables...)
	three := present(c, s.name("m-"), "three")
	see(t, three, tables...)
	see(t, present(a, one.ID, "one has changed"), tables...)
	see(t, leave(b, two.ID), tables...)
	see(t, leave(a, one.ID), tables...)
	see(t, leave(c, three.ID), tables...)
	see(t, present(b, two.ID, "two again"), tables...)
	see(t, leave(b, two.ID), tables...)
}

func (s *suite) watchOrder(t *testing.T) {
	a, b := s.nodes[0], s.nodes[1]
	const changes = 100
	tables := []*table{watch(t, a), watch(t, b)}
	id := s.name("m-")
	for i := range changes {
		present(a, id, fmt.Sprintf("%03d", i))
	}
	see(t, present(a, id, "the last"), tables...)
	see(t, leave(a, id), tables...)
	for _, w := range tables {
		if infos := w.story(id); !slices.IsSorted(infos[:len(infos)-1]) { // "gone" comes behind "the last"
			t.Errorf("node %q saw the Info of a member in the order %q", w.node, infos)
		}
	}
}

func (s *suite) presentAnyKind(t *testing.T) {
	a, b := s.nodes[0], s.nodes[1]
	w := watch(t, b)
	for _, id := range []string{s.name("m_-"), s.run + strings.Repeat("Z", 64-len(s.run)), s.run[:1]} {
		see(t, present(a, id, ""), w)
		see(t, present(a, id, "\x00\xff binary"), w)
		see(t, present(a, id, large("x").String()), w)
		see(t, leave(a, id), w)
	}
}

func (s *suite) presentMany(t *testing.T) {
	a, b, c := s.nodes[0], s.nodes[1], s.nodes[2]
	const members = 1000
	w := watch(t, b)
	prefix := s.name("m-")
	id := func(i int) string { return fmt.Sprintf("%s-%d", prefix, i) }
	for i := range members {
		present(a, id(i), id(i))
	}
	late := watch(t, c)
	for i := range members {
		see(t, roomcast.Member{ID: id(i), Node: a.Node(), Info: []byte(id(i))}, w, late)
	}
	for i := range members {
		leave(a, id(i))
	}
	for i := range members {
		see(t, roomcast.Member{ID: id(i), Gone: true}, w, late)
	}
}

func (s *suite) watchCancelled(t *testing.T) {
	a := s.nodes[0]
	w, other := watch(t, a), watch(t, a)
	id := s.name("m-")
	see(t, present(a, id, "before"), w, other)
	w.cancel()
	see(t, present(a, id, "after"), other)
	see(t, leave(a, id), other)
	if wrong := w.wrong(roomcast.Member{ID: id, Node: a.Node(), Info: []byte("before")}); wrong != "" {
		t.Errorf("a watcher that was cancelled is told of changes: %s", wrong)
	}
}

// presentTakeover moves a member from node to node.
func (s *suite) presentTakeover(t *testing.T) {
	a, b, c := s.nodes[0], s.nodes[1], s.nodes[2]
	tables := []*table{watch(t, a), watch(t, b), watch(t, c)}
	id := s.name("m-")
	see(t, present(a, id, "on the first"), tables...)
	taken := present(b, id, "on the second")
	see(t, taken, tables...)

	// The node that has it no more has nothing to say: neither what it presented before nor that the member is gone.
	leave(a, id)
	marker := present(a, s.name("m-"), "said later")
	see(t, marker, tables...)
	see(t, taken, tables...)
	see(t, present(b, id, "still on the second"), tables...)

	see(t, present(a, id, "back on the first"), tables...)
	see(t, present(c, id, "back on the first"), tables...)
	see(t, leave(c, id), tables...)
	see(t, leave(a, marker.ID), tables...)
	for _, w := range tables {
		if story := w.story(id); slices.Contains(story[:len(story)-1], "gone") {
			t.Errorf("node %q was told that the member is gone while it moved from node to node: %q", w.node, story)
		}
	}
}

// testClose has a node go, if the engine can be closed: the others go on without it and its members.
func (s *suite) testClose(t *testing.T, nodes []roomcast.Engine) {
	var end func()
	switch c := nodes[1].(type) {
	case interface{ Close() }:
		end = c.Close
	case interface{ Close() error }:
		end = func() {
			if err := c.Close(); err != nil {
				t.Errorf("Close: %v", err)
			}
		}
	default:
		t.Skip("this engine has no method Close")
	}
	a, b := nodes[0], nodes[1]
	w, p := watch(t, a), subscribe(t, a, s.name("log/"))
	stays, leaves := present(a, s.name("m-"), "stays"), present(b, s.name("m-"), "leaves")
	see(t, stays, w, watch(t, b))
	see(t, leaves, w)
	want := publish(t, b, p.room, numbered("before/", 3)...)
	end()
	see(t, roomcast.Member{ID: leaves.ID, Gone: true}, w)
	see(t, stays, w)
	want = append(want, publish(t, a, p.room, numbered("after/", 3)...)...)
	same(t, "delivered", p.wait(t, len(want)), want)
	same(t, "in the history", history(t, a, p.room, roomcast.Position{}, 100), want)
	see(t, leave(a, stays.ID), w)
}
