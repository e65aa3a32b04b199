// Package peers holds the relays of the comparison; here each is started and asked to relay.
package peers

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
	"go.uber.org/goleak"
)

// bin is where TestMain has built the relays in Go.
var bin string

func TestMain(m *testing.M) {
	var err error
	if bin, err = os.MkdirTemp("", "peers"); err != nil {
		panic(err)
	}
	if out, err := exec.Command("go", "build", "-o", bin+string(filepath.Separator), "./...").CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "go build: %v\n%s", err, out)
		os.Exit(1)
	}
	goleak.VerifyTestMain(m, goleak.Cleanup(func(code int) {
		os.RemoveAll(bin)
		os.Exit(code)
	}))
}

// TestRelay holds that a message reaches the other members of its room, unchanged and in order, and nobody else.
func TestRelay(t *testing.T) {
	for _, peer := range []struct {
		name  string
		speak protocol
	}{
		{"gorilla", raw}, {"melody", raw}, {"coder", raw}, {"gws", raw}, {"gobwas", raw}, {"centrifuge", centrifuge},
		{"bun", raw}, {"ws", raw}, {"socketio", socketIO},
	} {
		t.Run(peer.name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			addr := start(ctx, t, peer.name)
			speaker := enter(ctx, t, peer.speak, addr, "one")
			first := enter(ctx, t, peer.speak, addr, "one")
			second := enter(ctx, t, peer.speak, addr, "one")
			inTwo := enter(ctx, t, peer.speak, addr, "two")
			alsoInTwo := enter(ctx, t, peer.speak, addr, "two")

			long := strings.Repeat("long ", 2000)
			speaker.say(ctx, "hello")
			speaker.say(ctx, long)
			for _, c := range []*client{first, second} {
				c.hears("hello")
				c.hears(long)
			}
			if peer.speak.echoes {
				speaker.hears("hello")
				speaker.hears(long)
			}
			first.say(ctx, "answer") // what the speaker hears first is not its own
			speaker.hears("answer")
			second.hears("answer")
			inTwo.say(ctx, "elsewhere") // and this is the first in the other room
			alsoInTwo.hears("elsewhere")
		})
	}
}

// start runs a relay on a free port until the test ends, and returns the address it prints.
func start(ctx context.Context, t *testing.T, name string) string {
	t.Helper()
	cmd := exec.CommandContext(ctx, filepath.Join(bin, name), "127.0.0.1:0")
	if script := filepath.Join(name, "server.js"); exists(script) {
		cmd = exec.CommandContext(ctx, runtime(t, name), script, "127.0.0.1:0")
	}
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
	})
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatalf("%s printed no address: %v", name, err)
	}
	return strings.TrimSpace(line)
}

// runtime is what runs a peer's script; without its packages the test is skipped.
func runtime(t *testing.T, name string) string {
	t.Helper()
	pkg := map[string]string{"socketio": "socket.io"}[name]
	if pkg == "" {
		pkg = name
	}
	if !exists(filepath.Join("node_modules", pkg)) {
		t.Skipf("the npm package %s is not installed: make bench-setup", pkg)
	}
	if name != "bun" {
		return "node"
	}
	found, _ := filepath.Glob("node_modules/@oven/bun-*/bin/bun")
	for _, exe := range found {
		if exec.Command(exe, "--version").Run() == nil {
			return exe
		}
	}
	t.Skip("the npm package bun has no binary that runs here")
	return ""
}

func exists(name string) bool {
	_, err := os.Stat(name)
	return err == nil
}

// client is a member of a room.
type client struct {
	t      *testing.T
	conn   *websocket.Conn
	speak  protocol
	room   string
	frames chan string   // closed when the connection has ended
	heard  []string      // messages of a frame that held several
	done   chan struct{} // closed when the test is over: nobody listens any more
}

// enter joins a room, and returns when the relay knows.
func enter(ctx context.Context, t *testing.T, speak protocol, addr, room string) *client {
	t.Helper()
	conn, _, err := websocket.Dial(ctx, "ws://"+addr+speak.path(room), nil)
	if err != nil {
		t.Fatal(err)
	}
	conn.SetReadLimit(1 << 20)
	c := &client{t: t, conn: conn, speak: speak, room: room, frames: make(chan string), done: make(chan struct{})}
	go c.listen(ctx)
	t.Cleanup(func() {
		close(c.done)
		conn.CloseNow()
		for range c.frames {
		}
	})
	speak.join(ctx, c)
	return c
}

func (c *client) listen(ctx context.Context) {
	defer close(c.frames)
	for {
		_, b, err := c.conn.Read(ctx)
		if err != nil {
			return
		}
		select {
		case c.frames <- string(b):
		case <-c.done:
			return
		}
	}
}

func (c *client) write(ctx context.Context, frame string) {
	c.t.Helper()
	if err := c.conn.Write(ctx, websocket.MessageText, []byte(frame)); err != nil {
		c.t.Fatal(err)
	}
}

func (c *client) say(ctx context.Context, message string) {
	c.t.Helper()
	c.write(ctx, c.speak.wrap(c.room, message))
}

// hears holds that message is the next that comes.
func (c *client) hears(message string) {
	c.t.Helper()
	for len(c.heard) == 0 {
		frame, ok := <-c.frames
		if !ok {
			c.t.Fatalf("the connection ended, want %.20q", message)
		}
		c.heard = c.speak.unwrap(frame)
	}
	if c.heard[0] != message {
		c.t.Fatalf("heard %.40q, want %.40q", c.heard[0], message)
	}
	c.heard = c.heard[1:]
}
