package memengine

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/roomcast/roomcast"
	"pgregory.net/rapid"
)

// pass lets time pass in synctest, and what is due happen.
func pass(d time.Duration) {
	<-time.After(d)
	synctest.Wait()
}

// A room whose history has expired costs nothing, and begins another epoch.
func TestExpiredRoomIsForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := New(keep(roomcast.Retention{Age: 64 * time.Second}))
		defer e.Close()
		first := say(t, e, "log/a", "1", "2")[1].Position
		say(t, e, "log/b", "1")
		pass(63 * time.Second)
		say(t, e, "log/b", "2")
		if a, b := told(t, e, "log/a"), told(t, e, "log/b"); a != "[1 2]" || b != "[1 2]" {
			t.Errorf("%s and %s are kept for the whole of their age, want all", a, b)
		}
		pass(2*time.Second + 1) // the age, and a sixty-fourth
		if b := told(t, e, "log/b"); b != "[2]" || len(e.cluster.rooms) != 1 {
			t.Errorf("%s and %d rooms are left, want [2] in one", b, len(e.cluster.rooms))
		}
		if _, err := e.History(t.Context(), "log/a", first, 1); !errors.Is(err, roomcast.ErrHistoryGone) {
			t.Errorf("what followed in a room that is forgotten: %v", err)
		}
		if again := say(t, e, "log/a", "3")[0].Position; again.Epoch == first.Epoch || again.Offset != 1 {
			t.Errorf("at %v before and %v after it was forgotten; want another epoch", first, again)
		}
		pass(66 * time.Second)
		k := e.cluster.kinds[0]
		if len(e.cluster.rooms) != 0 || k.bytes.Load() != 0 || len(k.rooms) != 0 || k.alarm.timer != nil {
			t.Errorf("%d rooms, %d bytes, %d to expire, timer %t; want nothing", len(e.cluster.rooms), k.bytes.Load(), len(k.rooms), k.alarm.timer != nil)
		}
	})
}

// Nothing too old is handed out, though the timer may be late; and while somebody is subscribed a room knows how far it has come.
func TestAgeIsExactWhenRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := New(keep(roomcast.Retention{Age: 64 * time.Second}))
		defer e.Close()
		_, cancel, err := e.Subscribe(t.Context(), "log/a", nothing)
		if err != nil {
			t.Fatal(err)
		}
		last := say(t, e, "log/a", "1", "2")[1].Position
		pass(64 * time.Second)
		if got := told(t, e, "log/a"); got != "[]" {
			t.Errorf("%s is handed out when its time is over", got)
		}
		pass(time.Hour)
		if missed, err := e.History(t.Context(), "log/a", last, 10); err != nil || len(missed) > 0 {
			t.Errorf("who has seen all has missed %v, %v", missed, err)
		}
		if next := say(t, e, "log/a", "3")[0].Position; next.Epoch != last.Epoch || next.Offset != 3 {
			t.Errorf("at %v, then at %v, while somebody was subscribed", last, next)
		}
		pass(time.Hour)
		if cancel(); len(e.cluster.rooms) != 0 {
			t.Error("the room is still there")
		}
	})
}

// A key is forgotten after its window, also when nothing happens.
func TestWindow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := keep(roomcast.Retention{})
		o.Window = 64 * time.Second
		e := New(o)
		defer e.Close()
		publish := func() bool {
			t.Helper()
			entries := []roomcast.Entry{{Once: "key"}}
			if err := e.Publish(t.Context(), "log/a", entries); err != nil {
				t.Fatal(err)
			}
			return entries[0].Again
		}
		publish()
		pass(64*time.Second - 1)
		if !publish() {
			t.Error("a key was forgotten within its window")
		}
		if pass(1); publish() {
			t.Error("a key was known after its window, which a repetition had lengthened")
		}
		pass(65 * time.Second)
		if w := &e.cluster.keys; w.places != nil || w.order.Len() > 0 || w.alarm.timer != nil {
			t.Errorf("%d keys are left, timer %t", len(w.places), w.alarm.timer != nil)
		}
	})
}

// However many keys are used, so many are remembered.
func TestKeysAreBounded(t *testing.T) {
	o := keep(roomcast.Retention{})
	o.Keys = 10
	e := New(o)
	defer e.Close()
	publish := func(i int) bool {
		t.Helper()
		entries := []roomcast.Entry{{Once: fmt.Sprint(i)}}
		if err := e.Publish(t.Context(), fmt.Sprint("log/", i%2), entries); err != nil {
			t.Fatal(err)
		}
		return entries[0].Again
	}
	for i := range 100 {
		publish(i)
	}
	if w := &e.cluster.keys; len(w.places) != 10 || w.order.Len() != 10 {
		t.Errorf("%d keys are remembered in %d places, want 10", w.order.Len(), len(w.places))
	}
	if !publish(90) || publish(89) {
		t.Error("want the last ten to be known, and no other")
	}
}

// model is the history of all rooms, told without thought for time and memory.
type model struct {
	r       roomcast.Retention
	entries []modelEntry
	now     time.Duration
}

type modelEntry struct {
	room, text string
	at         time.Duration
}

func (m *model) of(room string) []string {
	texts := []string{}
	for _, e := range m.entries {
		if e.room == room {
			texts = append(texts, e.text)
		}
	}
	return texts
}

// drop forgets the oldest entry of a room, of any if it is "".
func (m *model) drop(room string) {
	i := slices.IndexFunc(m.entries, func(e modelEntry) bool { return room == "" || e.room == room })
	m.entries = slices.Delete(m.entries, i, i+1)
}

func (m *model) trim() {
	m.entries = slices.DeleteFunc(m.entries, func(e modelEntry) bool { return e.at+m.r.Age <= m.now })
	for {
		total, counts := int64(0), map[string]int{}
		for _, e := range m.entries {
			total += int64(entryBytes + len(e.text))
			if counts[e.room]++; counts[e.room] > m.r.Messages {
				m.drop(e.room)
				total = 0
				break
			}
		}
		switch {
		case total > m.r.Bytes:
			m.drop("")
		case total > 0 || len(m.entries) == 0:
			return
		}
	}
}

// step is that some time passes, and then something is published.
type step struct {
	pause time.Duration
	room  string
	size  int
}

// run does the steps with an engine and its model, and says where they differ. It is called in synctest.
func (m *model) run(t *testing.T, steps []step) error {
	e := New(keep(m.r))
	defer e.Close()
	for i, s := range steps {
		m.now += s.pause
		pass(s.pause)
		text := fmt.Sprintf("%d-%0*d", i, s.size, 0)
		m.entries = append(m.entries, modelEntry{s.room, text, m.now})
		m.trim()
		say(t, e, s.room, text)
		for _, s := range steps[:i+1] {
			if got, want := told(t, e, s.room), fmt.Sprint(m.of(s.room)); got != want {
				return fmt.Errorf("after step %d %s keeps %s, want %s", i, s.room, got, want)
			}
		}
	}
	pass(m.r.Age + m.r.Age/64 + 1)
	if k := e.cluster.kinds[0]; len(e.cluster.rooms) > 0 || k.bytes.Load() != 0 {
		return fmt.Errorf("%d rooms and %d bytes are left", len(e.cluster.rooms), k.bytes.Load())
	}
	return nil
}

// Whatever is published when, the rooms keep what the limits say, and of that all.
func TestRetentionModel(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		m := model{r: roomcast.Retention{
			Messages: rapid.IntRange(1, 10).Draw(rt, "messages"),
			Age:      time.Duration(rapid.IntRange(1, 100).Draw(rt, "age")) * time.Second,
			Bytes:    rapid.Int64Range(1, 20*(entryBytes+50)).Draw(rt, "bytes"),
		}}
		steps := make([]step, rapid.IntRange(1, 60).Draw(rt, "steps"))
		for i := range steps {
			steps[i] = step{ // no two at the same time
				pause: rapid.SampledFrom([]time.Duration{1, 1, time.Millisecond, time.Second, 30 * time.Second}).Draw(rt, "pause"),
				room:  fmt.Sprint("log/", rapid.IntRange(0, 4).Draw(rt, "room")),
				size:  rapid.IntRange(0, 100).Draw(rt, "size"),
			}
		}
		var err error
		synctest.Test(t, func(t *testing.T) { err = m.run(t, steps) })
		if err != nil {
			rt.Fatal(err)
		}
	})
}
