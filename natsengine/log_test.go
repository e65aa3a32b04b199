package natsengine

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/roomcast/roomcast"
)

func TestLogReachesAllNodes(t *testing.T) {
	b := newBroker(t)
	one, two := b.node(), b.node()
	here, there := listen(t, one, "kitchen"), listen(t, two, "kitchen")
	if here.at.Epoch == "" || here.at != there.at {
		t.Fatalf("subscriptions begin at %v and %v, want the same, in an epoch", here.at, there.at)
	}
	sent := publish(t, one, "kitchen", "a", "b")
	if got := here.heard(); len(got) != 2 {
		t.Fatalf("%d entries were delivered here before Publish has returned, want 2", len(got))
	}
	contiguous(t, here.at, sent)
	sent = append(sent, publish(t, two, "kitchen", "c")...)
	for _, l := range []*ear{here, there} {
		got := l.await(3)
		contiguous(t, l.at, got)
		if !slices.Equal(said(got), []string{"a", "b", "c"}) || got[2].Position != sent[2].Position {
			t.Fatalf("delivered: %q", said(got))
		}
	}
}

func TestEntriesPassWhole(t *testing.T) {
	b := newBroker(t)
	one, two := b.node(), b.node()
	want := roomcast.Entry{Message: roomcast.Binary([]byte{0, 1, 255}), Except: []string{"s1", "s2"}, Key: "cursor"}
	for _, room := range []string{"kept", "\x01passing"} {
		l := listen(t, two, room)
		eventually(t, "an entry arrives", func() bool {
			if err := one.Publish(t.Context(), room, []roomcast.Entry{want}); err != nil {
				t.Fatal(err)
			}
			return len(l.heard()) > 0
		})
		got := l.heard()[0]
		if string(got.Data) != string(want.Data) || !got.Binary || !slices.Equal(got.Except, want.Except) || got.Key != want.Key {
			t.Errorf("%q: got %+v, want %+v", room, got, want)
		}
		if (got.Position == roomcast.Position{}) != (room == "\x01passing") {
			t.Errorf("%q: position %v", room, got.Position)
		}
	}
}

// TestTwoWriters has two nodes publish to one room at once: whatever order comes of it, it is one.
func TestTwoWriters(t *testing.T) {
	b := newBroker(t)
	nodes := []*Engine{b.node(), b.node()}
	ears := []*ear{listen(t, nodes[0], "r"), listen(t, nodes[1], "r")}
	const each, goroutines = 100, 3
	var mu sync.Mutex
	acknowledged := map[roomcast.Position]string{}
	var wg sync.WaitGroup
	for n, e := range nodes {
		for g := range goroutines {
			wg.Go(func() {
				for i := range each {
					text := strconv.Itoa(n) + "." + strconv.Itoa(g) + "." + strconv.Itoa(i)
					sent := texts(text)
					if err := e.Publish(t.Context(), "r", sent); err != nil {
						t.Error(err)
						return
					}
					mu.Lock()
					acknowledged[sent[0].Position] = text
					mu.Unlock()
				}
			})
		}
	}
	wg.Wait()
	total := len(nodes) * goroutines * each
	first := ears[0].await(total)
	contiguous(t, ears[0].at, first)
	if !slices.Equal(said(first), said(ears[1].await(total))) {
		t.Fatal("two nodes have seen two orders")
	}
	for _, e := range first {
		if acknowledged[e.Position] != e.String() {
			t.Fatalf("%v is %q, but %q was acknowledged there", e.Position, e.String(), acknowledged[e.Position])
		}
	}
	t.Logf("conflicts: %d of %d, and %d of %d", nodes[0].Stats().Conflicts, nodes[0].Stats().Attempts, nodes[1].Stats().Conflicts, nodes[1].Stats().Attempts)
}

func TestSubscriptionsBeginWhereTheyAre(t *testing.T) {
	b := newBroker(t)
	e := b.node()
	publish(t, e, "r", "before")
	early := listen(t, e, "r")
	publish(t, e, "r", "a")
	late := listen(t, e, "r")
	if early.at.Offset != 1 || late.at.Offset != 2 {
		t.Fatalf("subscriptions begin at %v and %v, want offsets 1 and 2", early.at, late.at)
	}
	early.cancel()
	publish(t, e, "r", "b")
	if got := said(late.await(1)); got[0] != "b" {
		t.Fatalf("the later one heard %q", got)
	}
	if got := said(early.heard()); len(got) != 1 || got[0] != "a" {
		t.Fatalf("the earlier one heard %q after its end", got)
	}
}

func TestOnce(t *testing.T) {
	b := newBroker(t)
	one, two := b.node(), b.node()
	l := listen(t, two, "r")
	first := []roomcast.Entry{{Message: roomcast.Text("a"), Once: "k"}}
	if err := one.Publish(t.Context(), "r", first); err != nil {
		t.Fatal(err)
	}
	again := []roomcast.Entry{{Message: roomcast.Text("b")}, {Message: roomcast.Text("a"), Once: "k"}, {Message: roomcast.Text("c"), Once: "l"}}
	if err := two.Publish(t.Context(), "r", again); err != nil {
		t.Fatal(err)
	}
	if first[0].Again || again[0].Again || !again[1].Again || again[2].Again || again[1].Position != first[0].Position {
		t.Fatalf("first %+v, then %+v", first, again)
	}
	if err := two.Publish(t.Context(), "other", again[1:2]); err != nil || again[1].Again {
		t.Fatalf("in another room: %v, again %v", err, again[1].Again)
	}
	if got := said(l.await(3)); !slices.Equal(got, []string{"a", "b", "c"}) {
		t.Fatalf("delivered: %q", got)
	}
}

// What is published again with its idempotency key has been delivered here when Publish returns, also if the notification of the first was lost.
func TestOnceIsDeliveredFirst(t *testing.T) {
	b := newBroker(t)
	one, two := b.node(), b.node(func(o *Options) { o.tails.every = time.Hour })
	l := listen(t, two, "r")
	publish(t, one, "r", "a")
	l.await(1)
	entries := texts("b")
	entries[0].Once = "k"
	loseNotifications(two, "r", 1, func() {
		if err := one.Publish(t.Context(), "r", entries); err != nil {
			t.Fatal(err)
		}
	})
	if err := two.Publish(t.Context(), "r", entries); err != nil || !entries[0].Again {
		t.Fatalf("%v, again %v", err, entries[0].Again)
	}
	if got := said(l.heard()); !slices.Equal(got, []string{"a", "b"}) {
		t.Errorf("delivered when Publish has returned: %q", got)
	}
}

func TestHistory(t *testing.T) {
	b := newBroker(t)
	e := b.node()
	if got := history(t, e, "r", roomcast.Position{}, 10); len(got) != 0 {
		t.Fatalf("an empty room has a history of %q", said(got))
	}
	var all []roomcast.Entry
	for i := range 300 { // batches of several sizes
		all = append(all, publish(t, e, "r", numbered(strconv.Itoa(i)+".", 1+i%4)...)...)
		publish(t, e, "another", numbered("x", i%3)...)
	}
	for _, from := range []int{0, 1, 2, 99, 374, 698, len(all) - 1, len(all)} {
		since := roomcast.Position{Epoch: all[0].Position.Epoch, Offset: uint64(from)}
		for _, limit := range []int{1, 7, 2000} {
			got := history(t, e, "r", since, limit)
			want := all[from:min(from+limit, len(all))]
			if !slices.Equal(said(got), said(want)) {
				t.Fatalf("%d after %v: %d entries, want %d", limit, since, len(got), len(want))
			}
			contiguous(t, since, got)
		}
	}
	for _, limit := range []int{1, 10, 500, 2000} {
		if got, want := history(t, e, "r", roomcast.Position{}, limit), all[max(0, len(all)-limit):]; !slices.Equal(said(got), said(want)) {
			t.Fatalf("the last %d: %d entries, want %d", limit, len(got), len(want))
		}
	}
}

// Who asks for a thousand large entries is not given all of them at once.
func TestHistoryOfLargeEntries(t *testing.T) {
	b := newBroker(t)
	e := b.node()
	const count, size = 100, 100 << 10
	for range count {
		publish(t, e, "r", strings.Repeat("x", size))
	}
	at := roomcast.Position{Epoch: history(t, e, "r", roomcast.Position{}, 1)[0].Position.Epoch}
	for calls := 1; at.Offset < count; calls++ {
		got := history(t, e, "r", at, 1000)
		if len(got) == 0 || len(got)*size > historyBytes+fetchBytes+size {
			t.Fatalf("%d entries of %d bytes after offset %d", len(got), size, at.Offset)
		}
		contiguous(t, at, got)
		at = got[len(got)-1].Position
	}
	got := history(t, e, "r", roomcast.Position{}, 1000)
	if len(got) != historyBytes/size || got[len(got)-1].Position != at {
		t.Fatalf("the last of them are %d, up to %v; want %d, up to %v", len(got), got[len(got)-1].Position, historyBytes/size, at)
	}
	contiguous(t, roomcast.Position{Epoch: at.Epoch, Offset: count - uint64(len(got))}, got)
}

func TestHistoryGone(t *testing.T) {
	b := newBroker(t)
	e := b.node(func(o *Options) { o.History[0].Messages = 10 })
	sent := publish(t, e, "r", numbered("a", 5)...)
	for i := range 10 {
		sent = append(sent, publish(t, e, "r", strconv.Itoa(i))...)
	}
	if got := history(t, e, "r", sent[4].Position, 100); len(got) != 10 {
		t.Fatalf("%d entries, want 10", len(got))
	}
	epoch := sent[0].Position.Epoch
	for _, since := range []roomcast.Position{sent[0].Position, sent[3].Position, {Epoch: "other", Offset: 14}, {Epoch: epoch, Offset: 99}, {Epoch: epoch}} {
		if _, err := e.History(t.Context(), "r", since, 100); !errors.Is(err, roomcast.ErrHistoryGone) {
			t.Errorf("after %v: %v, want ErrHistoryGone", since, err)
		}
	}
	if got := history(t, e, "r", roomcast.Position{}, 100); len(got) != 10 {
		t.Fatalf("the last: %d entries, want 10", len(got))
	}
}

func TestNewEpochWhenAllIsForgotten(t *testing.T) {
	b := newBroker(t)
	age := time.Second
	e := b.node(func(o *Options) { o.History[0].Age = age })
	l := listen(t, e, "r")
	first := publish(t, e, "r", "a")[0].Position
	eventually(t, "the history is forgotten", func() bool { return len(history(t, e, "r", roomcast.Position{}, 1)) == 0 })
	if got := history(t, e, "r", first, 10); len(got) != 0 {
		t.Fatalf("%d entries follow the last one", len(got))
	}
	second := publish(t, e, "r", "b")[0].Position
	if second.Epoch == first.Epoch || second.Offset != 1 {
		t.Fatalf("after %v comes %v, want another epoch", first, second)
	}
	if _, err := e.History(t.Context(), "r", first, 10); !errors.Is(err, roomcast.ErrHistoryGone) {
		t.Fatalf("after a position of the old epoch: %v, want ErrHistoryGone", err)
	}
	if got := said(l.await(2)); !slices.Equal(got, []string{"a", "b"}) {
		t.Fatalf("delivered: %q", got)
	}
}

// TestWritersTakeTurns has one node publish as fast as it can: another is not kept from publishing.
func TestWritersTakeTurns(t *testing.T) {
	b := newBroker(t)
	hot, cold := b.node(), b.node()
	listen(t, hot, "r")
	ctx, stop := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for ctx.Err() == nil {
				if err := hot.Publish(context.Background(), "r", texts("x")); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	started := time.Now()
	for range 100 { // once as one who does not listen otherwise, then as one who does
		publish(t, cold, "r", "y")
	}
	listen(t, cold, "r")
	for range 100 {
		publish(t, cold, "r", "y")
	}
	took := time.Since(started)
	stop()
	wg.Wait()
	if took > 10*time.Second {
		t.Errorf("200 publishes took %v beside a node that publishes all the time", took)
	}
	t.Logf("200 publishes in %v: %d attempts, %d conflicts; the other stored %d", took, cold.Stats().Attempts, cold.Stats().Conflicts, hot.Stats().Stored)
}
