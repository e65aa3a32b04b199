package roomcast_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gobwas/ws"

	"github.com/roomcast/roomcast"
	"github.com/roomcast/roomcast/roomcasttest"
)

// A publication reaches everybody but those left out, message by message in its order, and is counted.
func TestG4_Publish(t *testing.T) {
	forEachTransport(t, func(t *testing.T, on func(*hub) *hub) {
		h := on(newHub(t, roomcast.Options{}, nil))
		var clients []*roomcasttest.Client
		var conns []*roomcast.Conn
		for range 5 {
			client, conn := h.dial("a")
			clients, conns = append(clients, client), append(conns, conn)
		}
		_, stranger := h.dial("b")
		large := make([]byte, 20<<10)
		messages := []roomcast.Message{roomcast.Text("one"), roomcast.Binary(large), roomcast.Text(""), roomcast.Text("four")}
		receipt, err := h.Publish("a", roomcast.Publication{Messages: messages, Except: []*roomcast.Conn{conns[1], stranger, conns[3], nil}})
		expect(t, "receipt", receipt, roomcast.Receipt{Delivered: 12})
		expect(t, "error", err, nil)
		h.Broadcast("a", roomcast.Text("last"))
		for i, c := range clients {
			var got []string
			for len(got) == 0 || got[len(got)-1] != "last" {
				got = append(got, c.Receive().String())
			}
			if i == 1 || i == 3 {
				expectAll(t, "one left out", got, "last")
			} else {
				expectAll(t, "a member", got, "one", string(large), "", "four", "last")
			}
		}
		expect(t, "deliveries", h.Stats().Delivered, 12+5)
	})
}

// A publication with text that must not be sent is not sent at all; one to nobody is no error.
func TestPublishRefuses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHub(t, roomcast.Options{}, nil)
		client, _ := h.dial("a")
		bad := roomcast.Publication{Messages: []roomcast.Message{roomcast.Text("good"), roomcast.Text("\xff")}}
		receipt, err := h.Publish("a", bad)
		if !errors.Is(err, roomcast.ErrInvalidUTF8) || receipt != (roomcast.Receipt{}) {
			t.Errorf("%+v, %v, want ErrInvalidUTF8", receipt, err)
		}
		receipt, err = h.Publish("nobody", roomcast.Publication{Messages: []roomcast.Message{roomcast.Text("x")}})
		expect(t, "to nobody", receipt, roomcast.Receipt{})
		expect(t, "error to nobody", err, nil)
		_, err = h.Publish("a", roomcast.Publication{})
		expect(t, "error of nothing", err, nil)
		synctest.Wait()
		expect(t, "received", len(client.Waiting()), 0)
	})
}

// A member without room for a publication is closed for it and counted, and what fits message by message is not refused together.
func TestG7_PublishToTheSlow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHub(t, roomcast.Options{OutboxBytes: 1000}, nil)
		h.dial("a")
		slow, _ := h.dial("a")
		synctest.Wait()
		slow.Stall()
		h.Broadcast("a", roomcast.Text("the last that is read"))
		synctest.Wait()
		var ten []roomcast.Message
		for range 10 {
			ten = append(ten, roomcast.Binary(make([]byte, 80)))
		}
		receipt, _ := h.Publish("a", roomcast.Publication{Messages: ten})
		expect(t, "ten that fit", receipt, roomcast.Receipt{Delivered: 20})
		synctest.Wait()
		receipt, _ = h.Publish("a", roomcast.Publication{Messages: ten[:5]})
		expect(t, "five more", receipt, roomcast.Receipt{Delivered: 5, Failed: 5})
	})
}

// Handler.Messages is given every message, once and in order, and what waits while it runs all at once.
func TestG6_Messages(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		goOn := make(chan struct{})
		var calls [][]string
		srv := roomcast.New(roomcast.Handler{
			Messages: func(_ *roomcast.Conn, m []roomcast.Message) {
				calls = append(calls, texts(m))
				<-goOn
			},
		}, roomcast.Options{MailboxBytes: 3 * 65})
		client := roomcasttest.Dial(t, srv, "/", nil)
		sent := 0
		send := func(n int) {
			for range n {
				client.Send(fmt.Sprint(sent))
				sent++
			}
			synctest.Wait()
		}
		send(1)
		send(3) // the mailbox is full: nothing more is read
		blocked := make(chan struct{})
		go func() {
			defer close(blocked)
			client.Write(ws.NewTextFrame([]byte("4")))
		}()
		synctest.Wait()
		select {
		case <-blocked:
			t.Error("read past a full mailbox")
		default:
		}
		goOn <- struct{}{}
		<-blocked
		close(goOn)
		client.Close(1000, "")
		srv.Shutdown(context.Background())
		for i, want := range [][]string{{"0"}, {"1", "2", "3"}, {"4"}} {
			expectAll(t, fmt.Sprint("call ", i), calls[min(i, len(calls)-1)], want...)
		}
		expect(t, "calls", len(calls), 3)
	})
}

// A message can go one way only.
func TestOneWay(t *testing.T) {
	message := func(*roomcast.Conn, roomcast.Message) {}
	messages := func(*roomcast.Conn, []roomcast.Message) {}
	for _, c := range []struct {
		h  roomcast.Handler
		ok bool
	}{
		{roomcast.Handler{Message: message}, true},
		{roomcast.Handler{Messages: messages}, true},
		{roomcast.Handler{Relay: true}, true},
		{roomcast.Handler{Message: message, Messages: messages}, false},
		{roomcast.Handler{Message: message, Relay: true}, false},
		{roomcast.Handler{Messages: messages, Relay: true}, false},
	} {
		func() {
			defer func() {
				if thrown := recover(); (thrown == nil) != c.ok {
					t.Errorf("%+v: New panics with %v", c.h, thrown)
				}
			}()
			roomcast.New(c.h, roomcast.Options{})
		}()
	}
}

// The histograms count every frame that leaves, and the latency of some broadcasts; a connection counts its bytes.
func TestStatsOfWrites(t *testing.T) {
	forEachTransport(t, func(t *testing.T, on func(*hub) *hub) {
		h := on(newHub(t, roomcast.Options{}, nil))
		client, conn := h.dial("a")
		const messages = 256
		for range messages {
			h.Broadcast("a", roomcast.Text("hello"))
		}
		for range messages {
			client.Receive()
		}
		client.Send("twelve bytes") // and a header of six
		conn.Send(roomcast.Text("end"))
		client.Receive()
		client.Close(1000, "")
		h.Shutdown(context.Background())
		st := h.Stats()
		var writes, latencies uint64
		for _, n := range st.Writes.Counts {
			writes += n
		}
		for _, n := range st.Latency.Counts {
			latencies += n
		}
		expect(t, "frames", st.Writes.Sum, messages+2) // and the Close frame
		if writes < 1 || writes > messages+2 || latencies > messages/64 || len(st.Latency.Counts) != len(st.Latency.Bounds)+1 || len(st.Writes.Counts) != len(st.Writes.Bounds)+1 {
			t.Errorf("%d writes, %d latencies: %+v", writes, latencies, st)
		}
		received, sent := conn.Traffic()
		if received != 18+8 && received != 18+8+8 { // and one Close frame, or two
			t.Errorf("%d bytes received", received)
		}
		expect(t, "bytes sent", sent, messages*7+5+4) // and the Close frame
		expect(t, "waiting", h.Waiting(), 0)
		if lasted := time.Since(conn.Since()); lasted < 0 || lasted > time.Hour {
			t.Errorf("it lasted %v", lasted)
		}
	})
}
