package api

import (
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
)

// pages follows next from path on and returns what each page had in the list of that name.
func (w *world) pages(path, list string) (pages [][]string, all []string) {
	w.t.Helper()
	for after, turns := "", 0; turns < 100; turns++ {
		_, body := w.do("GET", path+"&after="+url.QueryEscape(after), "")
		var page map[string]json.RawMessage
		var entries []struct{ Name, Connection string }
		if err := json.Unmarshal([]byte(body), &page); err != nil {
			w.t.Fatalf("%s: %v", body, err)
		}
		if err := json.Unmarshal(page[list], &entries); err != nil {
			w.t.Fatalf("%s: %v", body, err)
		}
		var names []string
		for _, e := range entries {
			names = append(names, e.Name+e.Connection)
		}
		pages, all = append(pages, names), append(all, names...)
		if page["next"] == nil {
			return pages, all
		}
		if err := json.Unmarshal(page["next"], &after); err != nil {
			w.t.Fatal(err)
		}
	}
	w.t.Fatalf("%s: the pages do not end", path)
	return nil, nil
}

// TestRoomPages holds that the pages have every room once, in the order of bytes, and no more than was asked for.
func TestRoomPages(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		var names, cats []string
		for i := range 450 {
			name := fmt.Sprintf("dog/%d", i)
			if i%3 == 0 {
				name = fmt.Sprintf("cat/%d", i)
				cats = append(cats, name)
			}
			names = append(names, name)
		}
		names = append(names, "é", "Z", "a b", "a/b", "a%2Fb", "\u2028", "~", ".", "..", "&after=x")
		m := w.dial("", names...)
		slices.Sort(names)
		slices.Sort(cats)
		for _, limit := range []int{7, 23, 459, 460, 461, 1000} {
			pages, all := w.pages(fmt.Sprintf("/v1/rooms?limit=%d", limit), "rooms")
			if !slices.Equal(all, names) || len(pages) != (len(names)+limit-1)/limit {
				t.Errorf("limit %d: %d pages with %d rooms, want all %d in order", limit, len(pages), len(all), len(names))
			}
		}
		if _, all := w.pages("/v1/rooms?limit=50&pattern=cat/*", "rooms"); !slices.Equal(all, cats) {
			t.Errorf("cats: %q", all)
		}
		if got := w.page("/v1/rooms?limit=1"); !slices.Equal(got, names[:1]) {
			t.Errorf("limit 1: %q", got)
		}
		if got := w.page("/v1/rooms"); len(got) != 100 {
			t.Errorf("%d rooms without a limit, want 100", len(got))
		}
		for path, words := range map[string]string{
			"limit=0": "query.limit", "limit=1001": "query.limit", "limit=-1": "query.limit", "limit=many": "query.limit", "limt=1": "query.limt",
			"pattern=%5C": "pattern", "pattern=" + strings.Repeat("*a", 300): "query.pattern", "key=secret": "query.key",
		} {
			w.refused(request("GET", "/v1/rooms?"+path, ""), 422, words)
		}
		m.got()
	})
}

func (w *world) page(path string) []string {
	w.t.Helper()
	_, body := w.do("GET", path, "")
	var page RoomList
	if err := json.Unmarshal([]byte(body), &page); err != nil {
		w.t.Fatal(err)
	}
	var names []string
	for _, r := range page.Rooms {
		names = append(names, r.Name)
	}
	return names
}

// TestRoomsComeAndGo holds that a room is listed while it has a member.
func TestRoomsComeAndGo(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.want("GET", "/v1/rooms", "", 200, `{"rooms":[]}`)
		a, b := w.dial("", "r"), w.dial("", "r", "s")
		w.want("GET", "/v1/rooms", "", 200, `{"rooms":[{"name":"r","members":2},{"name":"s","members":1}]}`)
		b.Drop()
		b.End()
		a.got()
		w.want("GET", "/v1/rooms", "", 200, `{"rooms":[{"name":"r","members":1}]}`)
	})
}

// TestMembers holds that the pages have every member once, in order, and say how many there are.
func TestMembers(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		var in, everybody []string
		for i := range 25 {
			m := w.dial("")
			if i%2 == 0 {
				m.Drop()
				m.End()
				m = w.dial("", "a/b")
				in = append(in, m.id)
			}
			everybody = append(everybody, m.id)
		}
		slices.Sort(in)
		slices.Sort(everybody)
		synctest.Wait() // until the hub too knows who has gone
		pages, all := w.pages("/v1/rooms/a%2Fb/members?limit=4", "members")
		if !slices.Equal(all, in) || len(pages) != 4 {
			t.Errorf("%d pages: %q, want %q", len(pages), all, in)
		}
		if _, all := w.pages("/v1/connections?limit=10", "connections"); !slices.Equal(all, everybody) {
			t.Errorf("connections %q, want %q", all, everybody)
		}
		var page struct{ Total int }
		_, body := w.do("GET", "/v1/rooms/a%2Fb/members?limit=1&after="+in[5], "")
		if err := json.Unmarshal([]byte(body), &page); err != nil || page.Total != len(in) || !strings.Contains(body, `"connection":"`+in[6]+`"`) {
			t.Errorf("behind %s: %s, want %s and the total %d", in[5], body, in[6], len(in))
		}
		w.want("GET", "/v1/rooms/nobody/members", "", 200, `{"members":[],"total":0}`)
		w.refused(request("GET", "/v1/rooms/%00/members", ""), 422, "path.room", "control character")
	})
}
