package netloop_test

import (
	"errors"
	"io"
	"net"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// What is sent arrives, all of it and in order, in both directions at once; the greeting and the head come first.
func TestLinkOrder(t *testing.T) {
	eachLink(t, func(t *testing.T, connect func(*script), client net.Conn) {
		in, out := pattern(300_000), pattern(200_000)
		var first [][]byte
		for p := range slices.Chunk(out[300:100_000], 777) {
			first = append(first, p)
		}
		s := newScript(first...)
		connect(s)
		s.link.Start(out[:300], slices.Clone(in[:10]))
		var sending sync.WaitGroup
		defer sending.Wait()
		sending.Go(func() { // writes of all sizes, so that the reading buffer grows and shrinks
			for rest, n := in[10:], 1; len(rest) > 0; n = n*3%90_001 + 1 {
				n = min(n, len(rest))
				client.Write(rest[:n])
				rest = rest[n:]
			}
		})
		sending.Go(func() {
			for p := range slices.Chunk(out[100_000:], 9_999) {
				s.say(p, false)
			}
		})
		got := make([]byte, len(out))
		io.ReadFull(client, got)
		expect(t, "sent in order", string(got) == string(out), true)
		sending.Wait()
		client.Close()
		events, errs := s.end()
		expect(t, "events", events, "lost flushed released")
		expect(t, "Lost", errs[0], io.EOF)
		expect(t, "received in order", s.got() == string(in), true)
	})
}

// A stream stops behind the bytes after which Receive has said so, head included, and goes on with Resume, without a loss. The other
// direction does not stop.
func TestLinkPause(t *testing.T) {
	eachLink(t, func(t *testing.T, connect func(*script), client net.Conn) {
		s := newScript()
		s.stopAt = map[int]bool{2: true, 5: true, 6: true}
		connect(s)
		s.link.Start(nil, []byte("ab"))
		for i, want := range []string{"ab", "abcde", "abcdef", "abcdefg"} {
			expect(t, "received", s.await(len(want)), want)
			if i == 3 {
				break
			}
			var writing sync.WaitGroup
			writing.Go(func() { io.WriteString(client, []string{"cde", "f", "g"}[i]) })
			for range 3 { // rounds of the link's, in which it could read
				s.say([]byte("out"), false)
				got := make([]byte, 3)
				io.ReadFull(client, got)
				expect(t, "sent", string(got), "out")
			}
			expect(t, "received while paused", s.got(), want)
			s.link.Resume()
			writing.Wait()
		}
		client.Close()
		events, _ := s.end()
		expect(t, "events", events, "lost flushed released")
	})
}

// A link whose reading is stopped ends like any other.
func TestLinkEndWhilePaused(t *testing.T) {
	for name, end := range map[string]func(*script){
		"Abort":                  func(s *script) { s.link.Abort() },
		"Abort, too late Finish": func(s *script) { s.link.Abort(); s.link.Finish(time.Hour) }, // gives no more time
		"Finish":                 func(s *script) { s.say([]byte("bye"), true); s.link.Finish(time.Second) },
	} {
		t.Run(name, func(t *testing.T) {
			eachLink(t, func(t *testing.T, connect func(*script), client net.Conn) {
				s := newScript()
				s.stopAt = map[int]bool{2: true}
				connect(s)
				s.link.Start(nil, []byte("ab"))
				end(s)
				_, err := io.Copy(io.Discard, client)
				expect(t, "the link hangs up", !errors.Is(err, os.ErrDeadlineExceeded), true)
				client.Close()
				if events, _ := s.end(); strings.Count(events, "flushed") != 1 || !strings.HasSuffix(events, "released") {
					t.Errorf("events %q, want flushed once and released at the end", events)
				}
			})
		})
	}
}

// A client that hangs up its own direction still gets what is to be sent, and is hung up on then.
func TestLinkHalfClosed(t *testing.T) {
	eachLink(t, func(t *testing.T, connect func(*script), client net.Conn) {
		if _, ok := client.(interface{ CloseWrite() error }); !ok {
			t.Skip("it has no halves")
		}
		in, out := pattern(200_000), pattern(300_000)
		s := newScript(out)
		connect(s)
		s.say([]byte("bye"), true)
		s.link.Start(nil, nil)
		_, err := client.Write(in)
		hangUp(client)
		s.await(len(in))
		s.link.Finish(time.Minute)
		got, err2 := io.ReadAll(client)
		expect(t, "errors", errors.Join(err, err2), nil)
		expect(t, "received all", s.got() == string(in), true)
		if !strings.HasPrefix(string(out)+"bye", string(got)) { // Lost makes the script forget what waits
			t.Errorf("got %d bytes, want the first ones of what was sent", len(got))
		}
		events, errs := s.end()
		expect(t, "released last", strings.HasSuffix(events, " released"), true)
		expect(t, "Lost", errs[0], io.EOF)
	})
}

// Finish writes what waits, shuts the writing side down, and takes what the other end still sends until it hangs up.
func TestLinkFinish(t *testing.T) {
	for _, k := range kinds {
		if k.pipe {
			continue // it has no halves
		}
		t.Run(k.name, func(t *testing.T) {
			server, client := k.wire(t)
			defer client.Close()
			s := newScript()
			s.link = k.link(server, s)
			s.link.Start(nil, nil)
			out := pattern(1 << 20)
			s.say(out, false)
			s.say([]byte("bye"), true)
			s.link.Finish(time.Minute)
			got, err := io.ReadAll(client) // the end of the stream is there before the client has hung up
			expect(t, "error", err, nil)
			expect(t, "got all", string(got) == string(out)+"bye", true)
			in := pattern(1 << 20)
			_, err = client.Write(in)
			expect(t, "errors after that", errors.Join(err, client.Close()), nil)
			events, errs := s.end()
			expect(t, "events", events, "flushed lost released")
			expect(t, "Lost", errs[0], io.EOF)
			expect(t, "received all", s.got() == string(in), true)
		})
	}
}

// The time of Finish is kept, though the other end does not hang up.
func TestLinkFinishInTime(t *testing.T) {
	eachLink(t, func(t *testing.T, connect func(*script), client net.Conn) {
		s := newScript([]byte("bye"))
		connect(s)
		s.say(nil, true)
		s.link.Start(nil, nil)
		s.link.Finish(50 * time.Millisecond)
		io.ReadFull(client, make([]byte, 3))
		events, errs := s.end()
		if !strings.HasPrefix(events, "flushed") || !strings.HasSuffix(events, "released") {
			t.Errorf("events %q, want flushed first and released at the end", events)
		}
		for _, err := range errs { // a loop says it in Released alone
			expect(t, "Lost", errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, io.ErrClosedPipe), true)
		}
	})
}

// The time of Finish is kept, though the other end does not read.
func TestLinkFinishNotRead(t *testing.T) {
	eachLink(t, func(t *testing.T, connect func(*script), client net.Conn) {
		s := newScript(make([]byte, 64<<20)) // more than the sockets hold
		connect(s)
		s.say([]byte("in vain"), true)
		s.link.Start(nil, nil)
		s.link.Finish(50 * time.Millisecond)
		events, errs := s.end()
		expect(t, "Lost", errors.Is(errs[0], os.ErrDeadlineExceeded), true)
		expect(t, "flushed once", strings.Count(events, "flushed"), 1)
		expect(t, "released last", strings.HasSuffix(events, " released"), true)
	})
}

// Abort closes at once and writes nothing more, also when it is called again and with a write under way.
func TestLinkAbort(t *testing.T) {
	eachLink(t, func(t *testing.T, connect func(*script), client net.Conn) {
		s := newScript(make([]byte, 64<<20)) // more than the sockets hold
		connect(s)
		s.link.Start(nil, nil)
		io.ReadFull(client, make([]byte, 1))
		s.link.Abort()
		s.link.Abort()
		events, errs := s.end()
		s.link.Abort() // and when everything is over
		s.link.Resume()
		s.link.Finish(time.Millisecond)
		expect(t, "Lost", len(errs) > 0, true)
		expect(t, "flushed once", strings.Count(events, "flushed"), 1)
		expect(t, "released last", strings.HasSuffix(events, " released"), true)
		n, _ := io.Copy(io.Discard, client)
		expect(t, "got everything", n >= 64<<20, false)
	})
}

// Nothing of a link stays behind: neither the Peer nor what it was given, the shared buffers included.
func TestLinkRetainsNothing(t *testing.T) {
	eachLink(t, func(t *testing.T, connect func(*script), client net.Conn) {
		collected := make(chan string, 2)
		func() {
			out := pattern(100_000)
			s := newScript(out[:50_000:50_000], out[50_000:])
			connect(s)
			s.say(nil, true)
			gone := func(what string) { collected <- what }
			runtime.AddCleanup(s, gone, "peer")
			runtime.AddCleanup(&out[0], gone, "output")
			s.link.Start([]byte("greeting"), []byte("head"))
			s.link.Finish(time.Second) // the runtime may keep a stopped timer until its time has come
			io.Copy(io.Discard, client)
			client.Close()
			s.end()
		}()
		for limit := time.Now().Add(10 * time.Second); len(collected) < cap(collected) && time.Now().Before(limit); {
			runtime.GC()
		}
		expect(t, "collected", len(collected), cap(collected))
	})
}
