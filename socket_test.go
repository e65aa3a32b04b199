package roomcast_test

import (
	"errors"
	"net"
	"net/http"
	"os"
	"runtime"
	"testing"

	"github.com/gobwas/ws"

	"github.com/roomcast/roomcast"
	"github.com/roomcast/roomcast/roomcasttest"
)

// listen serves a hub on a TCP socket, and returns its URL.
func (h *hub) listen() string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		h.t.Fatal(err)
	}
	served := make(chan error)
	go func() { served <- h.Serve(l) }()
	h.t.Cleanup(func() {
		h.Close()
		if err := <-served; !errors.Is(err, http.ErrServerClosed) {
			h.t.Errorf("serve: %v", err)
		}
	})
	return "ws://" + l.Addr().String()
}

// descriptors returns how many are open.
func descriptors(t *testing.T) int {
	t.Helper()
	fds, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Skipf("descriptors are counted where there is /proc: %v", err)
	}
	return len(fds)
}

// Connections that are reset, closed and cut leave no descriptor open.
func TestG3_Descriptors(t *testing.T) {
	h := newHub(t, roomcast.Options{}, nil)
	url := h.listen()
	before := descriptors(t)
	for i := range 60 {
		c, _, _, err := ws.Dial(t.Context(), url+"/room")
		if err != nil {
			t.Fatal(err)
		}
		conn := <-h.conns
		switch i % 3 {
		case 0:
			c.(*net.TCPConn).SetLinger(0) // a reset
		case 1:
			ws.WriteFrame(c, ws.MaskFrame(ws.NewCloseFrame(nil)))
		case 2:
			conn.Close(1000, "")
			if op, _, err := roomcasttest.ReadFrame(c); err != nil || op != ws.OpClose {
				t.Errorf("instead of a Close frame: %v, %v", op, err)
			}
		}
		c.Close()
	}
	for h.Stats().Connections > 0 || descriptors(t) > before {
		runtime.Gosched() // one that stays open would keep this test from ending
	}
}
