package natsengine

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/roomcast/roomcast"
)

// backUp notes what NATS has, and returns when the nodes are ready again. restore does what a power cut or a backup does: NATS comes back as it was then.
func (b *broker) backUp(nodes ...*Engine) (restore func()) {
	b.t.Helper()
	before := make([]uint64, len(nodes))
	for i, e := range nodes {
		before[i] = e.Stats().Reconnects
	}
	b.stop()
	dir := b.t.TempDir()
	if err := os.CopyFS(dir, os.DirFS(b.opts.StoreDir)); err != nil {
		b.t.Fatal(err)
	}
	b.start()
	for i, e := range nodes {
		eventually(b.t, "the node is ready again", func() bool { return e.Stats().Reconnects > before[i] && e.Ready() == nil })
	}
	return func() {
		b.stop()
		if err := os.RemoveAll(b.opts.StoreDir); err != nil {
			b.t.Fatal(err)
		}
		if err := os.CopyFS(b.opts.StoreDir, os.DirFS(dir)); err != nil {
			b.t.Fatal(err)
		}
		b.start()
	}
}

// losers are a node that publishes in a room and one that listens there, whose NATS has lost the last three of six messages. at is the position before that, and
// again has NATS lose what has come since then.
func losers(t *testing.T) (b *broker, speaks, hears *Engine, ear *ear, at roomcast.Position, again func()) {
	t.Helper()
	b = newBroker(t)
	speaks, hears = b.node(), b.node()
	ear = listen(t, hears, "r")
	publish(t, speaks, "r", "a", "b", "c")
	restore := b.backUp(speaks, hears)
	for _, text := range []string{"d", "e", "f"} {
		at = publish(t, speaks, "r", text)[0].Position
	}
	ear.await(6)
	restore()
	return b, speaks, hears, ear, at, restore
}

// publishes publishes until that is done.
func publishes(t *testing.T, e *Engine, text string) roomcast.Position {
	t.Helper()
	entries := texts(text)
	eventually(t, "it is stored", func() bool { return e.Publish(t.Context(), "r", entries) == nil })
	return entries[0].Position
}

// NATS comes back without the end of a log, under nodes that know it: the room goes on, for all who are there, and no position has two messages.
func TestLogThatHasLostItsEnd(t *testing.T) {
	_, speaks, _, ear, before, _ := losers(t)
	at := publishes(t, speaks, "new")
	if at.Epoch == before.Epoch || at.Offset != 1 {
		t.Errorf("after %v comes %v, want the first of another epoch", before, at)
	}
	if got := ear.await(7)[6]; got.String() != "new" || got.Position != at {
		t.Errorf("heard %q at %v, want what was said at %v", got.String(), got.Position, at)
	}
}

// The log loses its end again, and with it the epoch that has begun for that: the one before is not taken up where it has been already, and comes to nobody once more.
func TestLogThatHasLostItsEndTwice(t *testing.T) {
	_, speaks, _, ear, before, again := losers(t)
	used := []roomcast.Position{before, publishes(t, speaks, "g"), publishes(t, speaks, "h")}
	goOnAnew(t, speaks, ear, used, again, "abcdefghi")
}

// The log is lost altogether, and found again when the room has gone on without it.
func TestLogThatIsFoundAgain(t *testing.T) {
	b, speaks, _, ear, before, again := losers(t)
	b.stop()
	if err := os.RemoveAll(b.opts.StoreDir); err != nil {
		t.Fatal(err)
	}
	b.start()
	used := []roomcast.Position{before, publishes(t, speaks, "g")}
	goOnAnew(t, speaks, ear, used, again, "abcdefgh")
}

// goOnAnew holds that what is said after another loss, the last letter of all, is the first of an epoch of its own, and nothing is heard twice.
func goOnAnew(t *testing.T, speaks *Engine, ear *ear, used []roomcast.Position, lose func(), all string) {
	t.Helper()
	ear.await(len(all) - 1)
	lose()
	at := publishes(t, speaks, all[len(all)-1:])
	if at.Offset != 1 || slices.ContainsFunc(used, func(p roomcast.Position) bool { return p.Epoch == at.Epoch }) {
		t.Errorf("after %v comes %v, want the first of another epoch", used, at)
	}
	if got := said(ear.await(len(all))); !slices.Equal(got, strings.Split(all, "")) {
		t.Errorf("heard %q, want %q", got, all)
	}
}

// The same where nobody who knows it publishes.
func TestLogThatHasLostItsEndUnheard(t *testing.T) {
	b, speaks, _, ear, before, _ := losers(t)
	speaks.Close()
	fresh := b.node()
	eventually(t, "another epoch has begun", func() bool {
		at, cancel, err := fresh.Subscribe(t.Context(), "r", func([]roomcast.Entry) {})
		if err == nil {
			cancel()
		}
		return err == nil && at.Epoch != before.Epoch
	})
	at := publishes(t, fresh, "new")
	if got := ear.await(7)[6]; got.String() != "new" || got.Position != at {
		t.Errorf("heard %q at %v, want what was said at %v", got.String(), got.Position, at)
	}
}

// The same where an operator has deleted the last message.
func TestLastMessageIsDeleted(t *testing.T) {
	b := newBroker(t)
	e := b.node()
	l := listen(t, e, "r")
	publish(t, e, "r", "a")
	before := publish(t, e, "r", "b")[0].Position
	s, err := e.js.Stream(t.Context(), "ROOMCAST_H_all")
	if err != nil {
		t.Fatal(err)
	}
	if err := s.DeleteMsg(t.Context(), s.CachedInfo().State.LastSeq); err != nil {
		t.Fatal(err)
	}
	r := e.room(e.kinds[0], "r")
	r.forget(r.head) // as after a reconnect
	if at := publishes(t, e, "c"); at.Epoch == before.Epoch {
		t.Errorf("after %v, which was deleted, comes %v; want another epoch", before, at)
	}
	l.await(3)
}

// The stream is made anew, and a node that has published in it since then learns that only later: what it has delivered does not come again.
func TestStreamIsMadeAnewUnnoticed(t *testing.T) {
	b := newBroker(t)
	e := b.node()
	l := listen(t, e, "r")
	publish(t, e, "r", "a", "b")
	if err := e.js.DeleteStream(t.Context(), e.kinds[0].stream); err != nil {
		t.Fatal(err)
	}
	if _, err := e.js.CreateStream(t.Context(), e.kinds[0].config()); err != nil {
		t.Fatal(err)
	}
	publishes(t, e, "c")
	publishes(t, e, "d")
	e.lookAgain()
	r := e.roomNamed("r")
	eventually(t, "it knows that the stream is another one", func() bool {
		r.mu.Lock()
		defer r.mu.Unlock()
		return r.writer.last == 0
	})
	eventually(t, "the tail has been read", func() bool { return r.through() > 0 })
	publish(t, e, "r", "e")
	if got := said(l.await(5)); !slices.Equal(got, []string{"a", "b", "c", "d", "e"}) {
		t.Errorf("delivered: %q", got)
	}
}

// Who was away when NATS came back without its end hears also what was stored meanwhile in a room that has lost nothing.
func TestTailAfterALoss(t *testing.T) {
	b := newBroker(t)
	p := newPassage(t, strings.TrimPrefix(b.srv.ClientURL(), "nats://"))
	speaks, hears := b.node(), b.node(func(o *Options) { o.URL = p.url() })
	other, quiet := listen(t, hears, "other"), listen(t, hears, "quiet")
	publish(t, speaks, "quiet", "a")
	quiet.await(1)
	restore := b.backUp(speaks, hears)
	last := publish(t, speaks, "other", numbered("x", 20)...)
	other.await(len(last))
	eventually(t, "the tail is known to be right so far", func() bool { return hears.roomNamed("quiet").through() > 3 })
	p.swallow.Store(true)
	p.cut()
	restore()
	entries := texts("b")
	eventually(t, "it is stored", func() bool { return speaks.Publish(t.Context(), "quiet", entries) == nil })
	p.swallow.Store(false)
	p.cut()
	quiet.await(2)
}

// Who was away when a room began another epoch in the place of what was lost, and is back when that is filled again, hears all of it.
func TestEpochInThePlaceOfALoss(t *testing.T) {
	b := newBroker(t)
	p := newPassage(t, strings.TrimPrefix(b.srv.ClientURL(), "nats://"))
	speaks, hears := b.node(), b.node(func(o *Options) { o.URL = p.url() })
	ear := listen(t, hears, "r")
	publish(t, speaks, "r", "a")
	restore := b.backUp(speaks, hears)
	for _, text := range []string{"b", "c", "d"} {
		publish(t, speaks, "r", text)
	}
	ear.await(4)
	p.swallow.Store(true)
	p.cut()
	restore()
	for _, text := range []string{"e", "f", "g", "h"} {
		publishes(t, speaks, text)
	}
	p.swallow.Store(false)
	p.cut()
	if got := said(ear.await(8)); !slices.Equal(got, strings.Split("abcdefgh", "")) {
		t.Errorf("heard %q", got)
	}
}

// What was missed while the connection was away is more than fits into one answer.
func TestLargeTails(t *testing.T) {
	b := newBroker(t)
	p := newPassage(t, strings.TrimPrefix(b.srv.ClientURL(), "nats://"))
	one, two := b.node(), b.node(func(o *Options) { o.URL = p.url() })
	const rooms, size = 30, 500_000 // tailBytes three and a half times
	var ears []*ear
	for i := range rooms {
		ears = append(ears, listen(t, two, fmt.Sprint("r", i)))
	}
	p.swallow.Store(true)
	p.cut()
	for i := range rooms {
		publish(t, one, fmt.Sprint("r", i), strings.Repeat("x", size))
	}
	p.cut()
	p.swallow.Store(false)
	for _, l := range ears {
		l.await(1)
	}
}

// What a look at the tails finds that began before the stream was made anew says nothing of the new one.
func TestLookAcrossALoss(t *testing.T) {
	for name, loss := range map[string]func(*room){
		"another stream":     (*room).reset,
		"the end is lost":    func(r *room) { r.suspect(found{last: 0, seen: 5}) },
		"another connection": func(r *room) { r.e.suspectTails() },
	} {
		t.Run(name, func(t *testing.T) {
			e := &Engine{rooms: map[string]*room{}}
			r := &room{e: e, kind: &kind{}, reader: &reader{isOpen: true}}
			e.rooms["r"] = r
			r.checked(time.Now(), 5, r.eraNow())
			begun := r.eraNow()
			loss(r)
			r.checked(time.Now(), 7, begun)
			if n := r.through(); n != 0 {
				t.Errorf("the tail is taken to be right up to %d", n)
			}
		})
	}
}

// Every room has its turn in time, however many there are.
func TestTailsOfManyRooms(t *testing.T) {
	for _, n := range []int{500, 8_000, 100_000} {
		synctest.Test(t, func(t *testing.T) {
			e := &Engine{rooms: map[string]*room{}, o: Options{tails: rhythm{tailEvery, tailTick}}}
			for i := range n {
				name := fmt.Sprint("room/", i)
				e.rooms[name] = &room{e: e, name: name, reader: &reader{isOpen: true, checked: time.Now()}}
			}
			longest := time.Duration(0)
			ticker := time.NewTicker(tailTick)
			defer ticker.Stop()
			for range 5 * tailEvery / tailTick { // of keepTails, in which all goes well
				<-ticker.C
				for _, r := range e.dueRooms() {
					longest = max(longest, time.Since(r.reader.checked))
					r.checked(time.Now(), 0, 0)
				}
			}
			for _, r := range e.rooms {
				longest = max(longest, time.Since(r.reader.checked))
			}
			if longest > 2*tailEvery {
				t.Errorf("one of %d rooms has waited for %v", n, longest)
			}
		})
	}
}

// A history that cannot be had keeps nobody from another one.
func TestHistoryThatCannotBe(t *testing.T) {
	b := newBroker(t)
	begins := func(with string) func(string) bool {
		return func(room string) bool { return strings.HasPrefix(room, with) }
	}
	e, err := New(Options{URL: b.srv.ClientURL(), Logger: testLogger(t), History: []roomcast.Retention{
		{Name: "huge", Match: begins("huge/"), Bytes: 1 << 60}, {Name: "well", Match: begins("well/")},
	}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(e.Close)
	eventually(t, "the other one can be used", func() bool { return e.Publish(t.Context(), "well/r", texts("a")) == nil })
	if _, err := e.js.Stream(t.Context(), e.kinds[0].stream); err == nil || e.Ready() == nil {
		t.Errorf("a history of an exabyte: %v, want that there is none (%v), and that the engine is not ready", err, jetstream.ErrStreamNotFound)
	}
}
