package proxy

import (
	"errors"
	"io"
	"net"
	"os"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	patience = 10 * time.Second       // for what has to come
	moment   = 100 * time.Millisecond // for what must not
)

// echoed is a link to a server that answers every byte with the same.
func echoed(t *testing.T) *Link {
	t.Helper()
	server, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			conn, err := server.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				_, _ = io.Copy(conn, conn) // it ends when the link does
			}()
		}
	}()
	link, err := Listen(server.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { link.Close(); server.Close(); <-done })
	return link
}

func dial(t *testing.T, l *Link) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", l.Addr())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

func say(t *testing.T, conn net.Conn, text string) {
	t.Helper()
	if _, err := io.WriteString(conn, text); err != nil {
		t.Fatalf("writing %q: %v", text, err)
	}
}

func hear(t *testing.T, conn net.Conn, want string) {
	t.Helper()
	_ = conn.SetReadDeadline(time.Now().Add(patience))
	got := make([]byte, len(want))
	if _, err := io.ReadFull(conn, got); err != nil || string(got) != want {
		t.Fatalf("heard %q, %v, want %q", got, err, want)
	}
}

func silent(t *testing.T, conn net.Conn) {
	t.Helper()
	_ = conn.SetReadDeadline(time.Now().Add(moment))
	got := make([]byte, 1)
	if _, err := conn.Read(got); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatalf("heard %q, %v, want silence", got, err)
	}
}

// ended requires that the connection ends soon, and not by the deadline.
func ended(t *testing.T, conn net.Conn) {
	t.Helper()
	_ = conn.SetReadDeadline(time.Now().Add(patience))
	if _, err := conn.Read(make([]byte, 1)); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatalf("the connection goes on: %v", err)
	}
}

func TestOpen(t *testing.T) {
	conn := dial(t, echoed(t))
	say(t, conn, "hello")
	hear(t, conn, "hello")
}

// TestFrozen holds that nothing is lost that was sent meanwhile, and that a connection made meanwhile is one afterwards.
func TestFrozen(t *testing.T) {
	for _, mode := range []Mode{Frozen, Forward, Back} {
		t.Run(mode.String(), func(t *testing.T) {
			link := echoed(t)
			conn := dial(t, link)
			say(t, conn, "a")
			hear(t, conn, "a")
			link.Set(mode)
			say(t, conn, "b")
			silent(t, conn)
			later := dial(t, link)
			say(t, later, "c")
			silent(t, later)
			link.Set(Open)
			hear(t, conn, "b")
			hear(t, later, "c")
		})
	}
}

func TestCut(t *testing.T) {
	link := echoed(t)
	conn := dial(t, link)
	say(t, conn, "a")
	hear(t, conn, "a")
	link.Set(Cut)
	ended(t, conn)
	if refused, err := net.Dial("tcp", link.Addr()); err == nil { // it may be reset before Dial has returned
		t.Cleanup(func() { refused.Close() })
		ended(t, refused)
	}
	link.Set(Open)
	again := dial(t, link)
	say(t, again, "b")
	hear(t, again, "b")
	link.Reset()
	ended(t, again)
	say(t, dial(t, link), "c")
}

// TestClose holds that a link with connections that wait can be closed.
func TestClose(t *testing.T) {
	link := echoed(t)
	link.Set(Frozen)
	conn := dial(t, link)
	say(t, conn, "a")
	link.Close()
	ended(t, conn)
}
