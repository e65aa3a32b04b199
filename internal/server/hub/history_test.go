package hub

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/roomcast/roomcast"
	"github.com/roomcast/roomcast/memengine"
)

// reads asks for a part of the history of a room, and holds which offsets come.
func (p *person) reads(what, epoch string, want ...int) {
	p.t.Helper()
	p.say(`{"type":"history","id":1,"room":"log"%s}`, what)
	answer := `{"type":"history","id":1,"room":"log","messages":[]}`
	if len(want) > 0 {
		var all []string
		for _, n := range want {
			all = append(all, fmt.Sprintf(`{"offset":%d,"from":{"connection":"<me>"},"data":%d}`, n, n))
		}
		answer = fmt.Sprintf(`{"type":"history","id":1,"room":"log","epoch":%q,"first":%d,"last":%d,"messages":[%s]}`, epoch, want[0], want[len(want)-1], strings.Join(all, ","))
	}
	p.hears(answer)
}

func upTo(first, last int) (all []int) {
	for n := first; n <= last; n++ {
		all = append(all, n)
	}
	return all
}

// Whoever may join a room may read what it keeps: the newest, page by page back to the first that is kept, or on from a place.
func TestHistory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := worlds(t, 1, false)[0]
		a := w.arrive()
		at := a.joins("log")
		a.reads("", at.Epoch)
		for n := range 130 { // 100 are kept
			a.say(`{"type":"send","room":"log","data":%d}`, n+1)
			a.Receive()
		}
		place := func(name string, offset int) string {
			return fmt.Sprintf(`,%q:{"epoch":%q,"offset":%d}`, name, at.Epoch, offset)
		}
		a.reads("", at.Epoch, upTo(31, 130)...)
		a.reads(`,"limit":2`, at.Epoch, 129, 130)
		a.reads(`,"limit":2`+place("since", 40), at.Epoch, 41, 42)
		a.reads(place("since", 130), at.Epoch)
		a.reads(place("before", 131), at.Epoch, upTo(31, 130)...)
		a.reads(`,"limit":3`+place("before", 40), at.Epoch, 37, 38, 39)
		for limit := 1; limit <= 100; limit++ { // of which some are not kept any more
			a.reads(fmt.Sprintf(`,"limit":%d`, limit)+place("before", 36), at.Epoch, upTo(max(36-limit, 31), 35)...)
		}
		for _, before := range []int{0, 1, 2, 30, 31, 200} {
			a.reads(`,"limit":5`+place("before", before), at.Epoch)
		}
		a.reads(`,"before":{"epoch":"other","offset":40}`, at.Epoch)
		for _, gone := range []string{place("since", 29), place("since", 131), `,"since":{"epoch":"other","offset":40}`} {
			a.say(`{"type":"history","id":1,"room":"log"%s}`, gone)
			a.hearsError("1", "history_gone", "newest")
		}
		a.say(`{"type":"history","id":2,"room":"live"}`)
		a.hears(`{"type":"history","id":2,"room":"live","messages":[]}`)
		a.say(`{"type":"history","id":3,"room":"log","limit":101}`)
		a.hearsError("3", "bad_request", "1 to 100")
		a.say(`{"type":"history","id":4,"room":""}`)
		a.hearsError("4", "bad_room", "empty")
	})
}

// A history has no message in it that the one who reads was left out of, and its range says that none is missing.
func TestHistoryExcept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		all := worlds(t, 2, false)
		a, b := all[0].arrive(), all[1].arrive()
		at := a.joins("log")
		for n := range 3 {
			a.say(`{"type":"send","id":7,"room":"log","echo":%v,"data":%d}`, n == 1, n)
			if n == 1 {
				a.Receive()
			}
			a.Receive()
		}
		a.say(`{"type":"history","id":1,"room":"log"}`)
		a.hears(fmt.Sprintf(`{"type":"history","id":1,"room":"log","epoch":%q,"first":1,"last":3,"messages":[{"offset":2,"from":{"connection":"<me>"},"data":1}]}`, at.Epoch))
		b.say(`{"type":"history","id":1,"room":"log","limit":2}`)
		b.hears(fmt.Sprintf(`{"type":"history","id":1,"room":"log","epoch":%q,"first":2,"last":3,"messages":[{"offset":2,"from":{"connection":%q},"data":1},{"offset":3,"from":{"connection":%[2]q},"data":2}]}`, at.Epoch, a.id))
	})
}

// TestHistoryRights holds that a history is for those who may join the room, and that its engine is not asked in vain for others.
func TestHistoryRights(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := start(t, true, nil)
		ann := w.user("ann", map[string][]string{"chat/*": {"join"}, "news": {"send", "presence"}})
		for _, room := range []string{"news", "other"} {
			ann.say(`{"type":"history","id":1,"room":%q}`, room)
			ann.hearsError("1", "forbidden", "read")
		}
		ann.say(`{"type":"history","id":1,"room":"chat/a"}`)
		ann.hears(`{"type":"history","id":1,"room":"chat/a","messages":[]}`)
	})
}

// What is read at once is bounded in bytes: the newest or those before a place lose the first ones, those behind a place the last.
func TestHistoryBytes(t *testing.T) {
	var all []roomcast.Entry
	for n := range 10 {
		all = append(all, roomcast.Entry{Message: roomcast.Text(strings.Repeat("x", 100)), Position: roomcast.Position{Epoch: "e", Offset: uint64(n + 1)}})
	}
	offsets := func(entries []roomcast.Entry) (offsets []int) {
		for _, e := range entries {
			offsets = append(offsets, int(e.Position.Offset))
		}
		return offsets
	}
	for _, c := range []struct {
		bytes int
		first bool
		want  []int
	}{
		{1000, true, upTo(1, 10)}, {1000, false, upTo(1, 10)}, {999, true, upTo(1, 9)}, {999, false, upTo(2, 10)},
		{200, true, []int{1, 2}}, {200, false, []int{9, 10}}, {99, true, []int{1}}, {0, false, []int{10}},
	} {
		if got := offsets(cut(all, c.bytes, c.first)); !slices.Equal(got, c.want) {
			t.Errorf("cut to %d bytes, the first ones %t: %v, want %v", c.bytes, c.first, got, c.want)
		}
	}
	if got := cut(nil, 10, true); len(got) != 0 {
		t.Errorf("cut of nothing is %v", got)
	}
}

// An engine that is away is said to be.
func TestHistoryUnavailable(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		engine := memengine.New(logs)
		w := start(t, false, func(c *Config) { c.Engine = engine })
		p := w.dial(nil)
		p.greeted()
		engine.Close()
		p.say(`{"type":"history","id":1,"room":"log"}`)
		p.hearsError("1", "unavailable", "away")
	})
}

// measured is an engine that counts the entries that are read.
type measured struct {
	roomcast.Engine
	read int
}

func (m *measured) History(ctx context.Context, room string, since roomcast.Position, limit int) ([]roomcast.Entry, error) {
	entries, err := m.Engine.History(ctx, room, since, limit)
	m.read += len(entries)
	return entries, err
}

// Who reads back is given no more bytes than fit, and not much more is read.
func TestHistoryBackIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		memory := memengine.New(logs)
		defer memory.Close()
		m := &measured{Engine: memory}
		w := start(t, false, func(c *Config) { c.Engine = m })
		var at roomcast.Position
		for range 90 {
			r, err := w.hub.Publish("log", Post{Payload: data(`"` + strings.Repeat("x", 90) + `"`)})
			if err != nil {
				t.Fatal(err)
			}
			at = r.At
		}
		for bytes, want := range map[int]int{1: 1, 250: 2, 1500: 15, 1 << 20: 89} {
			m.read = 0
			got, err := w.hub.History("log", Reading{Before: at, Limit: 100, Bytes: bytes})
			if err != nil || len(got) != want || got[len(got)-1].Position.Offset != at.Offset-1 || m.read > 3*want+pieces {
				t.Errorf("%d bytes before %v: %d entries, %v, of %d that were read; want %d", bytes, at, len(got), err, m.read, want)
			}
		}
	})
}
