package api

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// TestIdempotency holds that a key publishes once, wherever the publication comes from, and gives the same answer until the window ends.
func TestIdempotency(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		m := w.dial("", "r")
		const message = `{"type":"message","room":"r","data":{"a":1}}`
		keyed := func(path, key, body string) *http.Request {
			r := request(post, path, body)
			r.Header.Set("Idempotency-Key", key)
			return r
		}
		w.want(post, "/v1/rooms/r/messages", `{"data":{"a":1},"idempotency_key":"k"}`, 200, `{"delivered":1,"failed":0,"dropped":0}`)
		m.got(message)
		w.dial("", "r") // that there are more members now changes nothing
		const again = `{"delivered":1,"failed":0,"dropped":0,"replayed":true}`
		w.want(post, "/v1/rooms/r/messages", `{"data":{"a":1},"idempotency_key":"k"}`, 200, again)
		if _, body := read(t, w.serve(keyed("/v1/rooms/r/messages", "k", `{ "data": {"a": 1} }`))); body != again {
			t.Errorf("key in the header, other spaces: %s, want %s", body, again)
		}
		w.want(post, "/v1/batch", `{"publications":[{"to":{"room":"r"},"data":{"a":1},"idempotency_key":"k"}]}`, 200, `{"results":[`+again+`],"errors":0}`)
		for _, other := range []string{`{"data":{"a":2}}`, `{"data":{"a":1},"user":"ann"}`, `{"data":{"a":1},"except":{"users":["ann"]}}`, `{"base64":"AA=="}`} {
			w.refused(keyed("/v1/rooms/r/messages", "k", other), 422, "idempotency_key", "5m0s", "fresh key")
		}
		w.refused(keyed("/v1/rooms/s/messages", "k", `{"data":{"a":1}}`), 422, "idempotency_key")
		w.refused(keyed("/v1/users/r/messages", "k", `{"data":{"a":1}}`), 422, "idempotency_key")
		w.refused(keyed("/v1/rooms/r/messages", "k", `{"data":{"a":1},"idempotency_key":"l"}`), 422, "give one key")
		w.refused(keyed("/v1/rooms/r/messages", strings.Repeat("k", 256), `{"data":{"a":1}}`), 422, "at most 255")
		m.got()

		<-time.After(5*time.Minute - time.Nanosecond)
		w.want(post, "/v1/rooms/r/messages", `{"data":{"a":1},"idempotency_key":"k"}`, 200, again)
		m.got()
		<-time.After(time.Nanosecond)
		w.want(post, "/v1/rooms/r/messages", `{"data":{"a":1},"idempotency_key":"k"}`, 200, `{"delivered":2,"failed":0,"dropped":0}`)
		m.got(message)
	})
}

// TestErrorsAreNotRemembered holds that a publication that failed can be repeated with its key.
func TestErrorsAreNotRemembered(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.refused(request(post, "/v1/connections/x/messages", `{"data":1,"idempotency_key":"k"}`), 404)
		w.refused(request(post, "/v1/connections/x/messages", `{"data":1,"idempotency_key":"k"}`), 404)
		w.want(post, "/v1/rooms/r/messages", `{"data":1,"idempotency_key":"k"}`, 200, `{"delivered":0,"failed":0,"dropped":0}`)
	})
}

// TestIdempotencyAtOnce holds that of many that come at once one is done, and all get its answer.
func TestIdempotencyAtOnce(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		m := w.dial("", "r")
		var wg sync.WaitGroup
		var mu sync.Mutex
		answers := map[string]int{}
		for range 50 {
			wg.Go(func() {
				_, body := w.do(post, "/v1/rooms/r/messages", `{"data":1,"idempotency_key":"k"}`)
				mu.Lock()
				defer mu.Unlock()
				answers[body]++
			})
		}
		wg.Wait()
		if answers[`{"delivered":1,"failed":0,"dropped":0}`] != 1 || answers[`{"delivered":1,"failed":0,"dropped":0,"replayed":true}`] != 49 {
			t.Errorf("answers %v, want one that did it and 49 that are the same", answers)
		}
		m.got(`{"type":"message","room":"r","data":1}`)
	})
}

// TestSecondWaits holds that who comes while it is being done waits for it, does it itself if that fails, and gives up when it has to.
func TestSecondWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMemory(time.Minute, 10)
		ctx, cancel := context.WithCancel(t.Context())
		begin := make(chan error) // never closed
		work := func(delivered int) func() (Receipt, error) {
			return func() (Receipt, error) { return Receipt{Delivered: delivered}, <-begin }
		}
		results := make([]string, 4)
		run := func(i int, ctx context.Context, what byte) {
			r, replayed, err := m.once(ctx, "k", digest{what}, work(i))
			results[i] = fmt.Sprint(r.Delivered, replayed, err)
		}
		go run(0, t.Context(), 1)
		synctest.Wait()
		go run(1, t.Context(), 1)
		go run(2, ctx, 1)
		go run(3, t.Context(), 2)
		synctest.Wait()
		cancel()
		synctest.Wait()
		if results[0] != "" || results[1] != "" || results[2] != "0 false "+context.Canceled.Error() || results[3] != "0 false "+errOtherBody.Error() {
			t.Fatalf("while it is being done: %q", results)
		}
		begin <- errors.New("failed")
		synctest.Wait()
		if results[0] != "0 false failed" || results[1] != "" {
			t.Fatalf("when the first has failed: %q", results)
		}
		begin <- nil
		synctest.Wait()
		if results[1] != "1 false <nil>" {
			t.Fatalf("when the second has done it: %q", results)
		}
		run(0, t.Context(), 1)
		if results[0] != "1 true <nil>" {
			t.Errorf("afterwards: %q", results[0])
		}
	})
}

// TestPanicReleases holds that a panic while it is being done keeps nobody waiting.
func TestPanicReleases(t *testing.T) {
	m := newMemory(time.Minute, 10)
	func() {
		defer func() {
			if recover() == nil {
				t.Error("the panic did not go on")
			}
		}()
		_, _, _ = m.once(t.Context(), "k", digest{}, func() (Receipt, error) { panic("x") })
	}()
	if r, replayed, err := m.once(t.Context(), "k", digest{}, func() (Receipt, error) { return Receipt{Delivered: 7}, nil }); r.Delivered != 7 || replayed || err != nil {
		t.Errorf("afterwards %v, %v, %v", r, replayed, err)
	}
}

// TestMemoryIsBounded holds that the oldest is forgotten when there are too many, and that nothing is left of what is forgotten.
func TestMemoryIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMemory(time.Minute, 100)
		do := func(i int) bool {
			_, replayed, err := m.once(t.Context(), fmt.Sprint(i), digest{}, func() (Receipt, error) { return Receipt{}, nil })
			if err != nil {
				t.Fatal(err)
			}
			return replayed
		}
		for i := range 10_000 {
			do(i)
		}
		if len(m.known) != 100 || len(m.old) != 100 || cap(m.old) > 1000 {
			t.Errorf("%d are known, %d in order in an array of %d; want 100", len(m.known), len(m.old), cap(m.old))
		}
		if !do(9_900) || do(9_899) {
			t.Error("it is not the oldest that were forgotten")
		}
		<-time.After(time.Minute)
		do(1)
		if len(m.known) != 1 || len(m.old) != 1 {
			t.Errorf("%d are known after the window, want 1", len(m.known))
		}
	})
}
