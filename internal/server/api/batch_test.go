package api

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
)

// TestBatch holds that each publication has its own result, in order, and that one that fails keeps no other from being done.
func TestBatch(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		ann, bob := w.dial("ann", "r"), w.dial("bob", "r", "..")
		status, body := w.do(post, "/v1/batch", `{"publications":[
			{"to":{"room":"r"},"data":1.0,"except":{"users":["ann"]}},
			{"to":{"connection":"nobody"},"data":2},
			{"to":{"user":"ann"},"base64":"AA==","user":"bob"},
			{"to":{"room":"a\nb"},"data":3},
			{"to":{"room":"r"}},
			{"to":{"room":"r","user":"ann"},"data":4},
			{"to":{},"data":5},
			{"data":6},
			{"to":{"connection":"`+bob.id+`"},"data":7,"key":"k"},
			{"to":{"room":"r"},"data":8,"dota":8},
			{"to":"r","data":9},
			null,
			[],
			{"to":{"room":"nobody is in"},"data":10},
			{"to":{"connection":"`+bob.id+`"},"data":11},
			{"to":{"room":".."},"data":12}
		]}`)
		var got struct {
			Results []struct {
				Delivered, Failed *int
				Error             *struct {
					Status int
					Detail string
				}
			}
			Errors int
		}
		if err := json.Unmarshal([]byte(body), &got); err != nil || status != 200 {
			t.Fatalf("%d %s", status, body)
		}
		var short []string
		for i, r := range got.Results {
			switch {
			case r.Error == nil && r.Delivered != nil && r.Failed != nil:
				short = append(short, fmt.Sprint(*r.Delivered))
				continue
			case r.Error == nil || r.Delivered != nil || r.Failed != nil:
				t.Errorf("result %d is neither a receipt nor an error: %s", i, body)
				continue
			case r.Error.Status == 422 && !strings.HasPrefix(r.Error.Detail, fmt.Sprintf("body.publications[%d]", i)):
				t.Errorf("result %d: the error is about %q", i, r.Error.Detail)
			}
			short = append(short, fmt.Sprint(r.Error.Status))
		}
		if s := strings.Join(short, " "); s != "1 404 1 422 422 422 422 422 422 422 422 422 422 0 1 1" || got.Errors != 11 {
			t.Errorf("results %s with %d errors: %s", s, got.Errors, body)
		}
		ann.got(`{"type":"direct","from":{"user":"bob"},"base64":"AA=="}`)
		bob.got(`{"type":"message","room":"r","data":1.0}`, `{"type":"direct","data":11}`, `{"type":"message","room":"..","data":12}`)
	})
}

// TestBatchBounds holds that a batch that is too large, by number or size, is refused before anything of it is done.
func TestBatchBounds(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		m := w.dial("", "r")
		batch := func(one string, n int) string {
			return `{"publications":[` + strings.TrimSuffix(strings.Repeat(one+",", n), ",") + `]}`
		}
		const one = `{"to":{"room":"r"},"data":1}`
		w.refused(request(post, "/v1/batch", batch(one, 1001)), 422, "publications", "more than 1000")
		w.refused(request(post, "/v1/batch", batch("0", 4<<20-20)), 422, "more than 1000")
		w.refused(request(post, "/v1/batch", batch(one, 300_000)), 413, "8388608")
		w.refused(request(post, "/v1/batch", batch(one, 0)), 422, "empty")
		w.refused(request(post, "/v1/batch", `{}`), 422, "empty")
		w.refused(request(post, "/v1/batch", `{"publications":{}}`), 422, "not an array")
		w.refused(request(post, "/v1/batch", `{"publications":[`+one+`,{]}`), 400, "not JSON")
		w.refused(request(post, "/v1/batch", `{"publications":[`+one+`],"also":1}`), 422, `"also"`)
		w.refused(request(post, "/v1/batch", `[`+one+`]`), 422, "array")
		keyed := request(post, "/v1/batch", batch(one, 1))
		keyed.Header.Set("Idempotency-Key", "k")
		w.refused(keyed, 422, "header.Idempotency-Key", "idempotency_key")
		m.got()

		_, body := w.do(post, "/v1/batch", batch(`{"to":{"room":"r"},"data":"`+strings.Repeat("x", 1<<20)+`"}`, 1))
		if !strings.Contains(body, `"status":413`) || !strings.HasSuffix(body, `"errors":1}`) {
			t.Errorf("a publication that is too large alone: %.300s", body)
		}
		m.got()
		if _, body := w.do(post, "/v1/batch", batch(one, 1000)); !strings.HasSuffix(body, `"errors":0}`) || strings.Count(body, `{"delivered":1,"failed":0,"dropped":0}`) != 1000 {
			t.Errorf("a thousand: %.300s", body)
		}
		synctest.Wait()
		if n := len(m.Waiting()); n != 1000 {
			t.Errorf("%d messages came, want 1000", n)
		}
	})
}
