package roomcasttest

import (
	"bytes"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/roomcast/roomcast"
)

// tap is a subscription, and all that it was delivered.
type tap struct {
	node   string
	room   string
	at     roomcast.Position
	cancel func()
	then   func() // called after each delivery; nil is nothing

	busy    atomic.Bool // a call is under way
	overlap atomic.Bool // there was a call while another was under way

	mu      sync.Mutex
	entries []roomcast.Entry
}

// subscribe subscribes until the end of the test.
func subscribe(t *testing.T, node roomcast.Engine, room string) *tap {
	t.Helper()
	return subscribeThen(t, node, room, nil)
}

// subscribeThen is subscribe; then is called after each delivery.
func subscribeThen(t *testing.T, node roomcast.Engine, room string, then func()) *tap {
	t.Helper()
	p := &tap{node: node.Node(), room: room, then: then}
	at, cancel, err := node.Subscribe(bounded(t), room, p.deliver)
	if err != nil {
		t.Fatalf("Subscribe(%.60q) on node %q: %v", room, p.node, err)
	}
	t.Cleanup(cancel)
	p.at, p.cancel = at, cancel
	return p
}

// deliver keeps copies, so that an engine may use its memory again.
func (p *tap) deliver(entries []roomcast.Entry) {
	if !p.busy.CompareAndSwap(false, true) {
		p.overlap.Store(true)
	}
	defer p.busy.Store(false)
	p.mu.Lock()
	for _, e := range entries {
		e.Data, e.Except = bytes.Clone(e.Data), slices.Clone(e.Except)
		p.entries = append(p.entries, e)
	}
	p.mu.Unlock()
	if p.then != nil {
		p.then()
	}
}

// got returns what has been delivered so far.
func (p *tap) got() []roomcast.Entry {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.entries)
}

// has reports whether an entry with the text has been delivered.
func (p *tap) has(text string) bool {
	return slices.ContainsFunc(p.got(), func(e roomcast.Entry) bool { return e.String() == text })
}

// wait waits for n entries of a room that keeps a history, and returns them. Each has to follow the one before, the first of them
// the position that Subscribe returned.
func (p *tap) wait(t *testing.T, n int) []roomcast.Entry {
	t.Helper()
	eventually(t, func() string {
		if got := len(p.got()); got < n {
			return fmt.Sprintf("the subscription to %.60q on node %q has been delivered %d entries, want %d", p.room, p.node, got, n)
		}
		return ""
	})
	return p.exactly(t, n)
}

// exactly is wait for what has been delivered already.
func (p *tap) exactly(t *testing.T, n int) []roomcast.Entry {
	t.Helper()
	got := p.got()
	if len(got) != n {
		t.Fatalf("the subscription to %.60q on node %q has been delivered %d entries, want %d: %s", p.room, p.node, len(got), n, list(got))
	}
	if p.overlap.Load() {
		t.Fatalf("the subscription to %.60q on node %q was called while another call was under way", p.room, p.node)
	}
	follows(t, p.at, got)
	return got
}

// follows fails the test unless entries come right behind a position, without a gap.
func follows(t *testing.T, at roomcast.Position, entries []roomcast.Entry) {
	t.Helper()
	for i, e := range entries {
		if at.Epoch == "" && i == 0 {
			at.Epoch = e.Position.Epoch // that a room without entries has an epoch is a test of its own
		}
		if at.Offset++; e.Position != at || e.Position.Epoch == "" {
			t.Fatalf("entry %d (%.40q) is at %s, want %s: each follows the one before, the first what Subscribe returned or History was asked for: %s",
				i, e.String(), place(e.Position), place(at), list(entries))
		}
		if e.Again {
			t.Fatalf("entry %d (%.40q) has Again set, which is for the publisher alone", i, e.String())
		}
	}
}

// same fails the test unless got is want, entry by entry, positions included.
func same(t *testing.T, what string, got, want []roomcast.Entry) {
	t.Helper()
	if wrong := differ(got, want); wrong != "" {
		t.Fatalf("%s: %s", what, wrong)
	}
}

// differ says how two lists differ, "" if they do not. Again is left out: who publishes is told, nobody else.
func differ(got, want []roomcast.Entry) string {
	if len(got) != len(want) {
		return fmt.Sprintf("%d entries, want %d: %s, want %s", len(got), len(want), list(got), list(want))
	}
	for i, g := range got {
		w := want[i]
		switch {
		case g.Position != w.Position:
			return fmt.Sprintf("entry %d (%.40q) is at %s, want %.40q at %s", i, g.String(), place(g.Position), w.String(), place(w.Position))
		case !bytes.Equal(g.Data, w.Data):
			return fmt.Sprintf("entry %d is %.40q (%d bytes), want %.40q (%d bytes)", i, g.String(), len(g.Data), w.String(), len(w.Data))
		case g.Binary != w.Binary:
			return fmt.Sprintf("entry %d (%.40q) has Binary %t, want %t", i, g.String(), g.Binary, w.Binary)
		case g.Key != w.Key || g.Once != w.Once:
			return fmt.Sprintf("entry %d (%.40q) has Key %q and Once %q, want %q and %q", i, g.String(), g.Key, g.Once, w.Key, w.Once)
		case !slices.Equal(g.Except, w.Except):
			return fmt.Sprintf("entry %d (%.40q) has Except %q, want %q", i, g.String(), g.Except, w.Except)
		}
	}
	return ""
}

// list writes entries: where they are and how they begin, the first twenty.
func list(entries []roomcast.Entry) string {
	var b bytes.Buffer
	for i, e := range entries {
		if i == 20 {
			fmt.Fprintf(&b, " and %d more", len(entries)-i)
			break
		}
		fmt.Fprintf(&b, " %s=%.20q", place(e.Position), e.String())
	}
	return "[" + b.String() + " ]"
}
