//go:build unix

package main

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"
)

// serving is the program, listening.
type serving struct {
	t      *testing.T
	cmd    *exec.Cmd
	addr   string
	stdout *bufio.Reader
	stderr *bufio.Reader // nil if the test has given another file
}

// serve starts the program on a free port and waits until it listens, which it says on stdout; stderr may be nil.
func serve(t *testing.T, stderr *os.File, args ...string) *serving {
	t.Helper()
	s := &serving{t: t, cmd: program(t, append([]string{"serve", "--addr=127.0.0.1:0"}, args...)...)}
	out, err := s.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	s.stdout = bufio.NewReader(out)
	if stderr != nil {
		s.cmd.Stderr = stderr
	} else {
		log, err := s.cmd.StderrPipe()
		if err != nil {
			t.Fatal(err)
		}
		s.stderr = bufio.NewReader(log)
	}
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = s.cmd.Process.Kill() // it has ended, if all is well
		_ = s.cmd.Wait()
	})
	line := s.read(s.stdout, "Open http://")
	s.addr = regexp.MustCompile(`http://([^/]+)/`).FindStringSubmatch(line)[1]
	return s
}

// read returns the next line with the text in it.
func (s *serving) read(from *bufio.Reader, text string) string {
	s.t.Helper()
	for {
		line, err := from.ReadString('\n')
		if err != nil {
			s.t.Fatalf("waiting for a line with %q: %v", text, err)
		}
		if strings.Contains(line, text) {
			return line
		}
	}
}

func (s *serving) signal(sig os.Signal) {
	s.t.Helper()
	if err := s.cmd.Process.Signal(sig); err != nil {
		s.t.Fatal(err)
	}
}

// end waits for the program and returns its exit code.
func (s *serving) end() int {
	_ = s.cmd.Wait() // the exit code says it
	return s.cmd.ProcessState.ExitCode()
}

// healthy fails the test unless the program answers.
func (s *serving) healthy() {
	s.t.Helper()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	answer, err := client.Get("http://" + s.addr + "/healthz")
	if err != nil {
		s.t.Fatal(err)
	}
	defer answer.Body.Close()
	if body, err := io.ReadAll(answer.Body); err != nil || string(body) != "ok\n" {
		s.t.Fatalf("healthz: %q, %v", body, err)
	}
}

// member upgrades a connection and returns it with everything up to the 101 read; it does not answer Close frames.
func (s *serving) member() (net.Conn, *bufio.Reader) {
	s.t.Helper()
	conn, err := net.Dial("tcp", s.addr)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { conn.Close() })
	if _, err := io.WriteString(conn, "GET /rooms/a HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"+
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"); err != nil {
		s.t.Fatal(err)
	}
	br := bufio.NewReader(conn)
	answer, err := http.ReadResponse(br, nil)
	if err != nil || answer.StatusCode != http.StatusSwitchingProtocols {
		s.t.Fatalf("upgrade: %v, %v", answer, err)
	}
	return conn, br
}

// TestCleanStop holds that a first signal closes everybody with 1001 and ends the program with 0.
func TestCleanStop(t *testing.T) {
	for _, sig := range []os.Signal{os.Interrupt, syscall.SIGTERM} {
		s := serve(t, nil)
		if line := s.read(s.stderr, "listening"); !strings.Contains(line, " addr="+s.addr+" ") || !strings.Contains(line, "this machine only") {
			t.Errorf("log line %q, want addr=%s in it, and that only this machine can connect", line, s.addr)
		}
		s.healthy()
		conn, br := s.member()
		s.signal(sig)
		var frame [4]byte
		if _, err := io.ReadFull(br, frame[:]); err != nil || frame[0] != 0x88 || frame[2] != 0x03 || frame[3] != 0xe9 {
			t.Errorf("%v: the client got % x, %v; want a Close frame with 1001", sig, frame, err)
		}
		conn.Close()
		if code := s.end(); code != 0 {
			t.Errorf("%v: exit code %d, want 0", sig, code)
		}
	}
}

// TestSecondSignal holds that a second signal ends the program at once, with 1, while the first one waits for a client.
func TestSecondSignal(t *testing.T) {
	s := serve(t, nil)
	s.member()
	s.signal(os.Interrupt)
	s.read(s.stderr, "draining")
	s.signal(syscall.SIGTERM)
	s.read(s.stderr, "at once")
	if code := s.end(); code != 1 {
		t.Errorf("exit code %d, want 1", code)
	}
}

// TestSecond holds what is a second signal: another one, or the same when somebody has had the time to send it.
func TestSecond(t *testing.T) {
	for _, c := range []struct {
		again os.Signal
		later time.Duration
		want  bool
	}{
		{syscall.SIGTERM, time.Millisecond, false}, {syscall.SIGTERM, time.Second, true}, {os.Interrupt, time.Millisecond, true},
	} {
		if second(syscall.SIGTERM, c.again, c.later) != c.want {
			t.Errorf("%v after %v: want %v", c.again, c.later, c.want)
		}
	}
}

// TestOpenToOthers holds that an address that others can reach wants a lock on its door, or the word of whoever leaves it open.
func TestOpenToOthers(t *testing.T) {
	stdout, stderr, code := output(t, "serve", "--addr=0.0.0.0:0")
	if code != 2 || stdout != "" || !strings.Contains(stderr, "no keys for tokens") || !strings.Contains(stderr, "--allow-anonymous") {
		t.Errorf("code %d, stdout %q, stderr %q; want code 2, and that keys are missing", code, stdout, stderr)
	}
	s := serve(t, nil, "--addr=0.0.0.0:0", "--allow-anonymous")
	s.read(s.stderr, "anyone who can reach this address can join any room")
	s.signal(os.Interrupt)
	if code := s.end(); code != 0 {
		t.Errorf("exit code %d, want 0", code)
	}
}

// TestLogIsFull holds that a log on a full disk harms nobody.
func TestLogIsFull(t *testing.T) {
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Skipf("this system has no device that is always full: %v", err)
	}
	defer full.Close()
	servesOn(t, full)
}

// TestLogIsClosed holds that a log whose reader has gone away harms nobody.
func TestLogIsClosed(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	r.Close()
	defer w.Close()
	servesOn(t, w)
}

// servesOn holds that a program with a stderr that takes nothing serves, though it has a line to log for each client.
func servesOn(t *testing.T, stderr *os.File) {
	t.Helper()
	s := serve(t, stderr, "--log-level=debug")
	for range 3 {
		conn, _ := s.member()
		conn.Close()
	}
	s.healthy()
	s.signal(os.Interrupt)
	if code := s.end(); code != 0 {
		t.Errorf("exit code %d, want 0", code)
	}
}

// TestBenchStops holds that Ctrl-C ends a bench early, with the result so far and exit code 0.
func TestBenchStops(t *testing.T) {
	url, relayed := echo(t, 1)
	cmd := program(t, "bench", url, "--conns=4", "--rate=200", "--warmup=0", "--duration=1h", "--json")
	var out strings.Builder
	cmd.Stdout = &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	<-relayed // a message has come: it runs
	if err := cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("ended with %v, want 0", err)
	}
	if !strings.Contains(out.String(), `"stopped_early":true`) || strings.Contains(out.String(), `"messages":{"total":0,`) {
		t.Errorf("result %s, want one that was stopped after some messages", out.String())
	}
}

// TestBenchLimit holds that more connections than the system allows are refused with the limit and what to do.
func TestBenchLimit(t *testing.T) {
	stdout, stderr, code := output(t, "bench", "ws://127.0.0.1:1", "--conns=10000000")
	if want := "roomcast: --conns 10000000: this needs 10000032 descriptors and the limit is "; code != 2 || stdout != "" ||
		!strings.HasPrefix(stderr, want) || !strings.Contains(stderr, "raise it with `ulimit -n 10000032`") {
		t.Errorf("code %d, stdout %q, stderr %q; want code 2 and the line %q", code, stdout, stderr, want)
	}
}
