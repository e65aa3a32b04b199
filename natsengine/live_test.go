package natsengine

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/nats-io/nats.go"

	"github.com/roomcast/roomcast"
)

// What a NATS server that was cut off hands on when it is back has been overtaken, or comes to the node that it is of: each message is delivered once, in its turn, or not at all.
func TestLateInARoomWithoutHistory(t *testing.T) {
	b := newBroker(t)
	e := b.node()
	l := listen(t, e, "\x01p")
	nc, err := nats.Connect(b.srv.ClientURL())
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	for _, m := range []struct {
		node   string
		number uint64
		text   string
	}{{"a", 2, "a2"}, {"b", 1, "b1"}, {"a", 1, "late"}, {e.o.Node, 9, "own"}, {"a", 2, "again"}, {"a", 7, "a7"}, {"b", 2, "b2"}} {
		entries := texts(m.text)
		data := encodePassing(m.node, [][]byte{encodeEntry(&entries[0])})
		setNumber(data, m.number)
		if err := nc.Publish(liveSubject(e.o.Prefix, "\x01p"), data); err != nil {
			t.Fatal(err)
		}
	}
	if got := said(l.await(4)); !slices.Equal(got, []string{"a2", "b1", "a7", "b2"}) {
		t.Errorf("delivered: %q", got)
	}
}

// If one of the entries that are published together is too large, nobody is told any of them.
func TestTooLargeInARoomWithoutHistory(t *testing.T) {
	b := newBroker(t)
	one, two := b.node(), b.node()
	l := listen(t, two, "\x01p")
	eventually(t, "the nodes know of each other", func() bool { publish(t, one, "\x01p", "a"); return len(l.heard()) > 0 })
	before := len(l.heard())
	large := strings.Repeat("x", 900<<10)
	if err := one.Publish(t.Context(), "\x01p", texts(large, large, strings.Repeat("x", 2<<20))); !errors.Is(err, roomcast.ErrTooLarge) {
		t.Errorf("Publish: %v, want ErrTooLarge", err)
	}
	publish(t, one, "\x01p", "last")
	eventually(t, "the last one comes", func() bool { return slices.Contains(said(l.heard()), "last") })
	for _, text := range said(l.heard()[before:]) {
		if len(text) == len(large) {
			t.Error("a part of what was refused was delivered")
		}
	}
}
