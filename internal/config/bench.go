package config

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/roomcast/roomcast/internal/loadgen"
)

// Bench is everything that `roomcast bench` can be told. It has no environment variables: what a figure was measured with is on its
// command line.
type Bench struct {
	URL string `arg:"" optional:"" name:"url" help:"Server to load, ws://host:port or wss://host:port; its rooms are at /rooms/NAME, or at NAME below the path if there is one. Without it, a server of its own is started in this process."`

	Protocol bool `help:"Speak roomcast.v1 instead of connecting to the address of a room: at /ws, or at the path of the URL if there is one. Each connection joins its room, and a message is a JSON string of --size characters, so that the application's bytes are the same."`

	Conns   int     `short:"c" default:"100" placeholder:"N" help:"Connections in all, spread over the rooms; the senders are among them (default: ${default})."`
	Rooms   int     `default:"1" placeholder:"N" help:"Rooms. What one member sends goes to all others in its room (default: ${default})."`
	Senders int     `placeholder:"N" help:"Connections that send, spread over the rooms (default: one in each room)."`
	Window  int     `placeholder:"N" help:"Closed loop: messages each sender keeps on the way; it sends the next when one has reached everybody in its room (default: 8, unless there is a --rate)."`
	Rate    float64 `short:"R" placeholder:"N" help:"Open loop instead: messages per second, of all senders together. Latency counts from the time a message was due, so that a late generator shows."`
	Size    Bytes   `default:"128" placeholder:"SIZE" help:"Payload of a message; 32 bytes of it are the header by which deliveries are checked (default: ${default})."`

	Duration time.Duration `short:"d" placeholder:"TIME" help:"How long is measured (default: 10s, or until all --messages are sent)."`
	Warmup   time.Duration `default:"1s" placeholder:"TIME" help:"How long the same load runs before that (default: ${default})."`
	Messages uint64        `short:"n" placeholder:"N" help:"End when so many messages have been sent after the warm-up, and measure until all have come."`
	Timeout  time.Duration `default:"5s" placeholder:"TIME" help:"How long a connection may take to be made, and how long is waited for a delivery that does not come (default: ${default})."`

	PID        []int    `placeholder:"PID" help:"Process of the server, on this machine: report its CPU time and memory (Linux). May be repeated."`
	Header     []string `short:"H" sep:"none" placeholder:"NAME:VALUE" help:"Header of the upgrade requests. May be repeated."`
	Insecure   bool     `help:"Take any certificate of a wss:// server."`
	JSON       bool     `name:"json" help:"Print the result as one line of JSON."`
	NoProgress bool     `help:"Do not show the progress on stderr."`
}

const (
	defaultWindow   = 8
	defaultDuration = 10 * time.Second
)

// Validate reports the first setting that makes no sense: its flag, its value and what to set instead.
func (b *Bench) Validate() error {
	for _, line := range b.Header {
		if name, _, ok := strings.Cut(line, ":"); !ok || strings.TrimSpace(name) == "" {
			return invalid("header", line, "write it as NAME:VALUE")
		}
	}
	if b.URL == "" && len(b.PID) > 0 {
		return invalid("pid", b.PID[0], "give the address of the server too; one of its own is measured without this")
	}
	load := b.Load()
	if b.URL == "" {
		load.URL = "ws://localhost" // of the server that will be started
	}
	return FlagError(load.Validate())
}

// FlagError turns a *loadgen.FieldError into one about the flag, which has the same name.
func FlagError(err error) error {
	var field *loadgen.FieldError
	switch {
	case !errors.As(err, &field):
		return err
	case field.Field == "url":
		return fmt.Errorf("address %v: %s", field.Value, field.Remedy)
	}
	return invalid(field.Field, field.Value, field.Remedy)
}

// Load is what the settings mean for the generator.
func (b *Bench) Load() loadgen.Config {
	load := loadgen.Config{
		URL: b.URL, Protocol: b.Protocol, Header: http.Header{}, Insecure: b.Insecure,
		Conns: b.Conns, Rooms: b.Rooms, Senders: b.Senders, Window: b.Window, Rate: b.Rate, Size: int(b.Size),
		Duration: b.Duration, Warmup: b.Warmup, Messages: b.Messages, Timeout: b.Timeout, PIDs: b.PID,
	}
	if load.Senders == 0 {
		load.Senders = load.Rooms
	}
	if load.Window == 0 && load.Rate == 0 {
		load.Window = defaultWindow
	}
	if load.Duration == 0 && load.Messages == 0 {
		load.Duration = defaultDuration
	}
	for _, line := range b.Header {
		name, value, _ := strings.Cut(line, ":")
		load.Header.Add(strings.TrimSpace(name), strings.TrimSpace(value))
	}
	return load
}
