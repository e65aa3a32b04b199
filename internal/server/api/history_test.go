package api

import (
	"fmt"
	"net/url"
	"strings"
	"testing"

	"github.com/roomcast/roomcast"
	"github.com/roomcast/roomcast/internal/server/hub"
	"github.com/roomcast/roomcast/internal/server/protocol"
)

// TestHistory holds that the backend reads what a room keeps: the newest, on from a place, or back from one, whoever sent it and what.
func TestHistory(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		ann := w.dial("ann")
		w.want("GET", "/v1/rooms/log%2Fa/history", "", 200, `{"messages":[]}`)
		w.want("GET", "/v1/rooms/live/history?before=e/3", "", 200, `{"messages":[]}`)
		var at roomcast.Position
		for i, p := range []hub.Post{
			{Payload: protocol.Payload{Bytes: []byte(`{"price":12.50,"mark":"<b>"}`)}},
			{Payload: protocol.Payload{Bytes: []byte("\x00\x01\xfe\xff"), Binary: true}, User: "bob"},
			{Payload: protocol.Payload{Bytes: []byte("null")}, Except: []hub.Target{{Connection: ann.id}}},
		} {
			r, err := w.hub.Publish("log/a", p)
			if at = r.At; err != nil || at.Offset != uint64(i+1) {
				t.Fatalf("Publish: %+v, %v", r, err)
			}
		}
		ann.Send(`{"type":"join","id":1,"room":"log/a"}`)
		ann.Receive()
		ann.Send(`{"type":"send","room":"log/a","data":4}`)
		ann.Receive()
		all := []string{
			`{"offset":1,"data":{"price":12.50,"mark":"<b>"}}`, `{"offset":2,"from":{"user":"bob"},"base64":"AAH+/w=="}`, `{"offset":3,"data":null}`,
			`{"offset":4,"from":{"connection":"` + ann.id + `","user":"ann"},"data":4}`,
		}
		for query, want := range map[string][2]int{"": {1, 4}, "limit=2": {3, 4}, "since=E/1": {2, 4}, "since=E/0&limit=1": {1, 1}, "before=E/3": {1, 2}, "limit=1&before=E/5": {4, 4}} {
			w.want("GET", "/v1/rooms/log%2Fa/history?"+strings.ReplaceAll(query, "E", at.Epoch), "", 200,
				fmt.Sprintf(`{"epoch":%q,"first":%d,"last":%d,"messages":[%s]}`, at.Epoch, want[0], want[1], strings.Join(all[want[0]-1:want[1]], ",")))
		}
		w.want("GET", "/v1/rooms/log%2Fa/history?since="+at.Epoch+"/4", "", 200, `{"messages":[]}`)
		for _, since := range []string{"other/1", at.Epoch + "/5"} {
			w.refused(request("GET", "/v1/rooms/log%2Fa/history?since="+since, ""), 410, since, "newest")
		}
	})
}

// TestHistoryRefused holds that what makes no sense is refused with what would.
func TestHistoryRefused(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		for _, place := range []string{"x", "/1", "e/", "e/-1", "e/1.5", "e/9007199254740992", "e/1/2"} {
			for _, name := range []string{"since", "before"} {
				w.refused(request("GET", "/v1/rooms/log/history?"+name+"="+url.QueryEscape(place), ""), 422, "query."+name, "epoch/offset")
			}
		}
		w.refused(request("GET", "/v1/rooms/log/history?since=e/1&before=e/2", ""), 422, "leave out one")
		w.refused(request("GET", "/v1/rooms/log/history?limit=1001", ""), 422, "limit")
		w.refused(request("GET", "/v1/rooms/a%00b/history", ""), 422, "control")
	})
}
