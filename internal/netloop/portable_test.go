package netloop_test

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/roomcast/roomcast/internal/netloop"
)

// newPortable returns a script over conn, and its Portable link, not started. output waits from the beginning.
func newPortable(conn net.Conn, output ...[]byte) *script {
	s := newScript(output...)
	s.link = netloop.NewPortable(conn, s, 0)
	return s
}

// A stream stops behind the bytes after which Receive has said so, head included, and goes on with Resume, without a loss.
func TestPortablePause(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server, client := net.Pipe()
		s := newPortable(server)
		s.stopAt = map[int]bool{2: true, 5: true, 6: true}
		s.link.Start(nil, []byte("ab"))
		written := 0
		go func() {
			for _, p := range []string{"cde", "f", "g"} {
				io.WriteString(client, p)
				written++
			}
		}()
		for i, want := range []string{"ab", "abcde", "abcdef", "abcdefg"} {
			synctest.Wait()
			expect(t, "received", s.got(), want)
			expect(t, "written", written, i)
			s.link.Resume()
		}
		s.say([]byte("out"), false) // the other direction does not stop
		got := make([]byte, 4)
		n, _ := client.Read(got)
		expect(t, "sent", string(got[:n]), "out")
		client.Close()
		events, _ := s.end()
		expect(t, "events", events, "lost flushed released")
	})
}

// stubborn is a connection that takes at most a few bytes at a time, with or without saying why.
type stubborn struct {
	net.Conn
	takes int
	err   error
}

func (c stubborn) Write(p []byte) (int, error) {
	n, err := c.Conn.Write(p[:min(c.takes, len(p))])
	return n, errors.Join(err, c.err)
}

// A write that takes less than it was given is told to the Peer as it is, and is the end of the connection.
func TestPortableShortWrite(t *testing.T) {
	for _, c := range []struct {
		name     string
		conn     stubborn
		greeting string
		taken    string
	}{
		{"with an error", stubborn{takes: 4, err: errors.New("broken")}, "", "[4]"},
		{"without an error", stubborn{takes: 4}, "", "[4]"},
		{"of nothing", stubborn{}, "", "[0]"},
		{"of the greeting", stubborn{takes: 4, err: errors.New("broken")}, "hello", "[]"},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				server, client := net.Pipe()
				c.conn.Conn = server
				s := newPortable(c.conn, []byte("too much"))
				s.link.Start([]byte(c.greeting), nil)
				got, _ := io.ReadAll(client) // until the link closes the connection
				expect(t, "got", string(got), (c.greeting + "too much")[:c.conn.takes])
				events, errs := s.end()
				expect(t, "events", events, "lost flushed lost released")
				expect(t, "Written", fmt.Sprint(s.taken), c.taken)
				if errs[0] == nil || c.conn.err != nil && !errors.Is(errs[0], c.conn.err) {
					t.Errorf("Lost %v, want the error of the write", errs)
				}
			})
		})
	}
}

// The time of Finish is kept, whatever has been reached: the other end does not read, or it does not hang up.
func TestPortableFinishInTime(t *testing.T) {
	t.Run("not read", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			server, client := net.Pipe()
			start := time.Now()
			s := newPortable(server, []byte("in vain"))
			s.say(nil, true)
			s.link.Start(nil, nil)
			s.link.Finish(10 * time.Second)
			client.Read(make([]byte, 3))
			events, errs := s.end()
			expect(t, "time", time.Since(start), 10*time.Second)
			expect(t, "Lost", errors.Is(errs[0], os.ErrDeadlineExceeded), true)
			expect(t, "flushed once", strings.Count(events, "flushed"), 1)
			expect(t, "Written", fmt.Sprint(s.taken), "[3]")
		})
	})
	t.Run("not hung up", func(t *testing.T) {
		server, client := tcp(t)
		defer client.Close()
		s := newPortable(server, []byte("bye"))
		s.say(nil, true)
		s.link.Start(nil, nil)
		s.link.Finish(50 * time.Millisecond)
		events, errs := s.end()
		expect(t, "events", events, "flushed lost released")
		expect(t, "Lost", errors.Is(errs[0], os.ErrDeadlineExceeded), true)
	})
}

// Abort closes at once and writes nothing more, also when it is called again and with a write under way.
func TestPortableAbort(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server, client := net.Pipe()
		start := time.Now()
		s := newPortable(server, []byte("under way"), []byte("waiting"))
		s.link.Start(nil, nil)
		synctest.Wait()
		s.link.Abort()
		s.link.Abort()
		events, errs := s.end()
		s.link.Abort() // and when everything is over
		expect(t, "time", time.Since(start), 0)
		expect(t, "errors", len(errs), 2) // one for each direction
		expect(t, "flushed once", strings.Count(events, "flushed"), 1)
		expect(t, "released last", strings.HasSuffix(events, " released"), true)
		got, err := io.ReadAll(client)
		expect(t, "got", string(got), "")
		expect(t, "error", err, nil)
	})
}
