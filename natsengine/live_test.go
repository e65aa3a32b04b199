package natsengine

import (
	"slices"
	"testing"

	"github.com/nats-io/nats.go"
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
