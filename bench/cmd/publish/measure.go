package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gobwas/ws"
	"github.com/gobwas/ws/wsutil"
)

// figures are what came of a scenario.
type figures struct {
	requests  int
	took, cpu time.Duration
}

// wait waits until the server accepts connections.
func (t target) wait(most time.Duration) error {
	for end := time.Now().Add(most); ; time.Sleep(50 * time.Millisecond) {
		conn, err := net.Dial("tcp", t.addr)
		if err == nil {
			return conn.Close()
		}
		if time.Now().After(end) {
			return err
		}
	}
}

// measure puts the load on the server for a scenario.
func measure(t target, l load, s scenario) (f figures, err error) {
	ctx, cancel := context.WithCancel(context.Background())
	var working sync.WaitGroup
	defer working.Wait()
	defer cancel()
	for range s.members {
		conn, err := t.join(ctx)
		if err != nil {
			return f, fmt.Errorf("a member: %w", err)
		}
		context.AfterFunc(ctx, func() { _ = conn.Close() })
		working.Go(func() { _, _ = io.CopyBuffer(onlyWriter{io.Discard}, onlyReader{conn}, make([]byte, 64<<10)) }) // ends with conn
	}
	raw, receipt, times := t.request(s, l.size)
	var done atomic.Int64
	failed := make(chan error, l.conns) // never closed
	for range l.conns {
		working.Go(func() {
			if err := t.publish(ctx, raw, receipt, times, &done); err != nil && ctx.Err() == nil {
				failed <- err
			}
		})
	}
	for i, span := range []time.Duration{l.warm, l.seconds} {
		before, start := int(done.Load()), time.Now()
		cpu, err := t.cpu()
		if err != nil {
			return f, err
		}
		select {
		case err := <-failed:
			return f, err
		case <-time.After(span):
		}
		after, err := t.cpu()
		if err != nil {
			return f, err
		}
		if i == 1 {
			f = figures{requests: int(done.Load()) - before, took: time.Since(start), cpu: after - cpu}
		}
	}
	if f.requests == 0 {
		return f, errors.New("no request was answered")
	}
	return f, nil
}

// publish sends the request again and again over one connection, each when the one before is answered, and checks the answers.
func (t target) publish(ctx context.Context, raw []byte, receipt string, times int, done *atomic.Int64) error {
	conn, err := net.Dial("tcp", t.addr)
	if err != nil {
		return err
	}
	defer conn.Close()
	br := bufio.NewReader(conn)
	var body bytes.Buffer
	for ctx.Err() == nil {
		if _, err := conn.Write(raw); err != nil {
			return err
		}
		res, err := http.ReadResponse(br, nil)
		if err != nil {
			return err
		}
		body.Reset()
		if _, err := body.ReadFrom(res.Body); err != nil {
			return err
		}
		_ = res.Body.Close() // it has been read
		if res.StatusCode != http.StatusOK || bytes.Count(body.Bytes(), []byte(receipt)) != times {
			return fmt.Errorf("answer %d %.300s, want %d times %s", res.StatusCode, body.Bytes(), times, receipt)
		}
		done.Add(1)
	}
	return nil
}

// join connects a member of the room.
func (t target) join(ctx context.Context) (net.Conn, error) {
	conn, br, _, err := ws.Dialer{Protocols: []string{"roomcast.v1"}}.Dial(ctx, "ws://"+t.addr+"/ws")
	if err != nil {
		return nil, err
	}
	rw := io.ReadWriter(conn)
	if br != nil { // hello came with the upgrade
		rw = struct {
			io.Reader
			io.Writer
		}{br, conn}
	}
	if err := wsutil.WriteClientText(conn, []byte(`{"type":"join","id":1,"room":"bench"}`)); err != nil {
		return nil, err
	}
	for {
		text, err := wsutil.ReadServerText(rw)
		switch {
		case err != nil:
			return nil, err
		case string(text) == `{"type":"ack","id":1}`:
			return conn, nil
		case bytes.HasPrefix(text, []byte(`{"type":"error"`)):
			return nil, errors.New(string(text))
		}
	}
}

// Neither has the methods by which io.Copy would choose a small buffer of its own.
type (
	onlyReader struct{ io.Reader }
	onlyWriter struct{ io.Writer }
)

// cpu is the CPU time that the server has taken, in steps of 10 ms.
func (t target) cpu() (time.Duration, error) {
	stat, err := os.ReadFile("/proc/" + strconv.Itoa(t.pid) + "/stat")
	if err != nil {
		return 0, err
	}
	_, rest, _ := strings.Cut(string(stat), ") ") // the name in front of it may have spaces
	fields := strings.Fields(rest)
	if len(fields) < 13 {
		return 0, fmt.Errorf("/proc/%d/stat has %d fields behind the name, want 13 and more", t.pid, len(fields))
	}
	user, err1 := strconv.Atoi(fields[11])
	system, err2 := strconv.Atoi(fields[12])
	return time.Duration(user+system) * 10 * time.Millisecond, errors.Join(err1, err2)
}
