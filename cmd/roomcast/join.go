package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"strings"

	"github.com/roomcast/roomcast/internal/client"
)

// link is how the protocol's endpoint is reached.
type link struct {
	URL   string `default:"ws://127.0.0.1:8080/ws" placeholder:"URL" env:"ROOMCAST_URL" help:"Endpoint of the protocol, ws:// or wss:// (default: ${default})."`
	Token string `placeholder:"JWT" secret:"true" env:"ROOMCAST_TOKEN" help:"Token to show, if the server asks for one. The variable keeps it out of the list of processes."`
}

// Validate reports an address that is none.
func (l *link) Validate() error {
	_, err := l.endpoint()
	return err
}

// endpoint is the URL, with what is usually meant when its path is left out.
func (l *link) endpoint() (string, error) {
	u, err := url.Parse(l.URL)
	if err != nil || u.Host == "" || u.Scheme != "ws" && u.Scheme != "wss" {
		return "", fmt.Errorf("--url %s: write it as ws://127.0.0.1:8080/ws or wss://host/ws", l.URL)
	}
	if u.Path == "" || u.Path == "/" {
		u.Path = "/ws"
	}
	return u.String(), nil
}

type joinCmd struct {
	Room string `arg:"" help:"Name of the room."`
	link
	NoEcho bool `help:"Do not get back what is sent from here."`
	Wait   bool `help:"Stay in the room when the input has ended."`
	JSON   bool `name:"json" help:"Messages as the server sent them, one line of JSON each; lines of the input that are JSON are sent as JSON."`
}

// Help is what the flags cannot say.
func (*joinCmd) Help() string {
	return `On a terminal: a chat. In a pipe: each line of stdin is a message, a string, and each message is a line on stdout; at the end of stdin
it leaves when the server has confirmed everything. What else happens is said on stderr. A connection that ends is made again as
the protocol says; a line that it may have taken with it is reported, not sent twice.

Exit status: 0 all sent, 1 the server could not be reached, does not want us, or a line was not sent, 2 usage.

  roomcast join kitchen
  tail -f log | roomcast join logs --no-echo
  roomcast join kitchen --wait </dev/null`
}

// Run joins the room until the input ends, a signal comes, or the server does not want us.
func (c *joinCmd) Run() error {
	out := &printer{json: c.JSON, people: isTerminal(os.Stdout), w: os.Stdout}
	return c.link.follow([]string{c.Room}, out, func(ctx context.Context, rooms *client.Client) error {
		chat := isTerminal(os.Stdin)
		err := (&sender{
			room: c.Room, json: c.JSON, chat: chat,
			echo:   !c.NoEcho && !(chat && out.people), // what has been typed is on the screen already
			client: rooms,
		}).run(ctx, os.Stdin)
		if c.Wait {
			<-ctx.Done()
		}
		return err
	})
}

type watchCmd struct {
	Rooms []string `arg:"" name:"room" help:"Names of the rooms."`
	link
	JSON bool `name:"json" help:"Messages as the server sent them, one line of JSON each."`
}

// Help is what the flags cannot say.
func (*watchCmd) Help() string {
	return `Each message is a line on stdout: room, sender and text with tabs between them, and on a terminal the time before them.

Exit status: 0 stopped by a signal, 1 the server could not be reached or does not want us, 2 usage.

  roomcast watch kitchen cellar
  roomcast watch orders --json | jq .data`
}

// Run prints what comes until a signal comes or the server does not want us.
func (c *watchCmd) Run() error {
	out := &printer{json: c.JSON, people: isTerminal(os.Stdout), rooms: true, w: os.Stdout}
	return c.link.follow(c.Rooms, out, func(ctx context.Context, _ *client.Client) error {
		<-ctx.Done()
		return nil
	})
}

// follow is in the rooms until work returns.
func (l *link) follow(rooms []string, out *printer, work func(context.Context, *client.Client) error) error {
	ctx, release := untilSignal()
	defer release()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	endpoint, err := l.endpoint()
	if err != nil {
		return exitError{exitUsage, err}
	}
	progress := waiting(os.Stderr, "connecting to "+endpoint)
	c := client.New(client.Config{URL: endpoint, Token: l.Token, Rooms: rooms, Event: out.event, State: func(s client.State) {
		progress()
		if s.Connected {
			out.notice("joined %s as %s", strings.Join(rooms, ", "), s.Connection)
			return
		}
		out.notice("disconnected: %v; connecting again", s.Err)
		progress = waiting(os.Stderr, "connecting again to "+endpoint)
	}})
	ended := make(chan error, 1) // never closed
	go func() {
		err := c.Run(ctx)
		progress()
		cancel()
		ended <- err
	}()
	worked := make(chan error, 1) // never closed; stdin may never end, and then nobody waits for it
	go func() { worked <- work(ctx, c) }()
	select {
	case err := <-worked:
		cancel()
		if failed := <-ended; failed != nil {
			return l.failure(endpoint, failed)
		}
		return err
	case err := <-ended:
		if err != nil {
			return l.failure(endpoint, err)
		}
		return nil
	}
}

// failure says why the server could not be followed, and what to do.
func (l *link) failure(endpoint string, err error) error {
	var refused *client.RefusedError
	var closed *client.ClosedError
	var answered *client.HTTPError
	const unauthorized = 3001 // docs/protocol.md
	switch {
	case errors.As(err, &refused), errors.Is(err, client.ErrNoRooms):
		return err
	case errors.As(err, &closed) && closed.Code == unauthorized, errors.As(err, &answered) && answered.Status == http.StatusUnauthorized:
		return fmt.Errorf("%w; show a valid token with --token or ROOMCAST_TOKEN", err)
	case errors.As(err, &closed):
		return err
	case errors.As(err, &answered), errors.Is(err, client.ErrProtocol):
		return fmt.Errorf("%s: %w", endpoint, err)
	}
	return fmt.Errorf("cannot connect to %s: %w; start roomcast serve there, or give another address with --url", endpoint, err)
}
