package roomcast_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"log/slog"
	"net/http"
	"os"
	"os/signal"
	"time"

	"github.com/roomcast/roomcast"
)

// A chat: whoever connects to a path below /rooms/ is in the room of that name, and what one member sends goes to the others.
func Example() {
	var srv *roomcast.Server
	srv = roomcast.New(roomcast.Handler{
		Connect: func(c *roomcast.Conn, r *http.Request) error {
			return c.Join(c.Path())
		},
		Message: func(c *roomcast.Conn, m roomcast.Message) {
			srv.BroadcastExcept(c.Path(), m, c)
		},
	}, roomcast.Options{})
	http.Handle("/rooms/", srv)
	log.Fatal(http.ListenAndServe("127.0.0.1:8080", nil))
}

// A program that serves nothing but WebSocket needs no http.Server, and shuts down in good order.
func ExampleServer() {
	srv := roomcast.New(roomcast.Handler{}, roomcast.Options{})
	go func() {
		stop := make(chan os.Signal, 1)
		signal.Notify(stop, os.Interrupt)
		<-stop
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := srv.Shutdown(ctx); err != nil {
			log.Printf("some clients had to be cut: %v", err)
		}
	}()
	if err := srv.ListenAndServe("127.0.0.1:8080"); !errors.Is(err, http.ErrServerClosed) {
		log.Fatal(err)
	}
}

// Anything may broadcast, not only a connection: here, a clock.
func ExampleServer_Broadcast() {
	srv := roomcast.New(roomcast.Handler{}, roomcast.Options{})
	for now := range time.Tick(time.Second) {
		failed, err := srv.Broadcast("clock", roomcast.Text(now.Format(time.TimeOnly)))
		if err != nil {
			log.Fatal(err)
		}
		if failed > 0 {
			log.Printf("%d members were too slow and are being disconnected", failed)
		}
	}
}

// The connect callback decides who comes in, and attaches to the connection what the others need to know about it.
func ExampleHandler() {
	h := roomcast.Handler{
		Connect: func(c *roomcast.Conn, r *http.Request) error {
			user := r.Header.Get("X-User")
			if user == "" {
				return errors.New("who are you?") // the client is closed with 1008 "rejected"
			}
			c.SetValue(user)
			return c.Join("lobby")
		},
		Message: func(c *roomcast.Conn, m roomcast.Message) {
			if m.String() == "quit" {
				c.Close(roomcast.CloseNormal, "see you")
			}
		},
		Close: func(c *roomcast.Conn, code int, reason string) {
			log.Printf("%v left: %d %s", c.Value(), code, reason)
		},
	}
	http.Handle("/ws", roomcast.New(h, roomcast.Options{}))
}

// Messages to one connection alone.
func ExampleConn() {
	roomcast.New(roomcast.Handler{
		Connect: func(c *roomcast.Conn, r *http.Request) error {
			if err := c.Join("lobby"); err != nil {
				return err
			}
			return c.Send(roomcast.Text("welcome, " + c.RemoteAddr()))
		},
	}, roomcast.Options{})
}

// Text is checked to be UTF-8 when it is sent, anything else is Binary.
func ExampleMessage() {
	srv := roomcast.New(roomcast.Handler{}, roomcast.Options{})
	_, err := srv.Broadcast("lobby", roomcast.Message{Data: []byte{0xff}})
	fmt.Println(err)
	_, err = srv.Broadcast("lobby", roomcast.Binary([]byte{0xff}))
	fmt.Println(err)
	// Output:
	// roomcast: text message is not valid UTF-8: 1 bytes; send them with Binary
	// <nil>
}

// Options that come from outside are validated first; New would panic.
func ExampleOptions() {
	o := roomcast.Options{
		OutboxBytes:    4 << 20,
		AllowedOrigins: []string{"*.example.com"},
		Logger:         slog.New(slog.NewTextHandler(os.Stderr, nil)),
		PingInterval:   10 * time.Second,
		PongTimeout:    20 * time.Second,
	}
	fmt.Println(o.Validate())
	// Output:
	// roomcast: Options.PongTimeout is 20s, longer than PingInterval 10s; set it to at most that
}

// The counts are those of the whole life of the server.
func ExampleStats() {
	srv := roomcast.New(roomcast.Handler{}, roomcast.Options{})
	st := srv.Stats()
	fmt.Println(st.Connections, st.Rooms, st.Ended[roomcast.EndOutboxFull])
	// Output:
	// 0 0 0
}
