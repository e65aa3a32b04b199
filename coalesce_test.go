package roomcast_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/roomcast/roomcast"
)

// Output waits for the time of Options.Coalesce, and no longer; what comes meanwhile leaves with it.
func TestCoalesce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHub(t, roomcast.Options{Coalesce: 5 * time.Millisecond}, nil)
		client, _ := h.dial("lobby")
		synctest.Wait() // the 101 has left, and nothing is being written
		h.Broadcast("lobby", roomcast.Text("first"))
		pass(4 * time.Millisecond)
		h.Broadcast("lobby", roomcast.Text("second"))
		synctest.Wait()
		expectAll(t, "before its time", texts(client.Waiting()))
		pass(time.Millisecond)
		expectAll(t, "after it", texts(client.Waiting()), "first", "second")
		h.Broadcast("lobby", roomcast.Text("third"))
		pass(5 * time.Millisecond)
		expectAll(t, "later", texts(client.Waiting()), "first", "second", "third")
		client.Close(1000, "")
	})
}
