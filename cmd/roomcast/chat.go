package main

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/roomcast/roomcast/internal/client"
)

// printer shows what comes: messages on w, everything else on stderr.
type printer struct {
	w      io.Writer
	json   bool
	people bool // on a terminal: with time and sender
	rooms  bool // with the room
}

// event shows a message of the server.
func (p *printer) event(e client.Event) {
	switch e.Type {
	case "message", "direct":
		p.message(e)
	case "joined":
		p.notice("the server has put us into %s", printable(e.Room))
	case "left":
		p.notice("the server has taken us out of %s: %s", printable(e.Room), printable(cmp.Or(e.Reason, "no reason given")))
	case "throttled":
		p.notice("too much at once; wait %v", e.RetryAfter())
	case "draining":
		p.notice("the server is about to stop; connecting again then")
	case "gap":
		p.notice("%d messages of %s are missing: we were too slow for them", e.Missed, printable(e.Room))
	case "error":
		p.notice("%s (%s)", printable(e.Message), printable(e.Code))
	}
}

func (p *printer) notice(format string, args ...any) {
	fmt.Fprintf(os.Stderr, "* "+format+"\n", args...)
}

func (p *printer) message(e client.Event) {
	if p.json {
		fmt.Fprintf(p.w, "%s\n", oneLine(e.Raw))
		return
	}
	from := printable(cmp.Or(e.From.User, e.From.Connection, "server"))
	room := printable(cmp.Or(e.Room, "(direct)"))
	text := payload(e)
	switch {
	case p.people && (p.rooms || e.Type == "direct"):
		fmt.Fprintf(p.w, "%s %s %s: %s\n", time.Now().Format(time.TimeOnly), room, from, text)
	case p.people:
		fmt.Fprintf(p.w, "%s %s: %s\n", time.Now().Format(time.TimeOnly), from, text)
	case p.rooms:
		fmt.Fprintf(p.w, "%s\t%s\t%s\n", room, from, text)
	default:
		fmt.Fprintln(p.w, text)
	}
}

// payload is what a message carries, on one line: the text of a string, any other JSON as it is, bytes as base64.
func payload(e client.Event) string {
	var text string
	switch {
	case e.Base64 != nil:
		return printable(*e.Base64)
	case json.Unmarshal(e.Data, &text) == nil:
		return printable(text)
	}
	line := oneLine(e.Data)
	return strings.Map(func(r rune) rune {
		if commanding(r) {
			return utf8.RuneError // JSON leaves some of them as they are
		}
		return r
	}, string(line))
}

// oneLine is JSON with the ends of lines between its values as spaces; in its strings there are none.
func oneLine(p []byte) []byte {
	return bytes.Map(func(r rune) rune {
		if r == '\n' || r == '\r' {
			return ' '
		}
		return r
	}, p)
}

// maxLine is how long a line of the input may be: as long as a message by the server's default.
const maxLine = 16 << 20

// sender sends the lines of the input.
type sender struct {
	room   string
	json   bool
	chat   bool // somebody types them
	echo   bool
	client *client.Client
}

// run sends one line after the other until the input or ctx ends. Who types is told of each line that could not be sent; of a
// pipe the end says how many there were.
func (s *sender) run(ctx context.Context, input io.Reader) error {
	if err := s.client.Ready(ctx); ctx.Err() != nil {
		return nil // it was stopped
	} else if err != nil { // even if there is nothing to send
		return err
	}
	lines := bufio.NewScanner(input)
	lines.Buffer(nil, maxLine)
	sent, failed := 0, 0
	for n := 1; lines.Scan(); n++ {
		line := lines.Bytes()
		if s.chat && len(bytes.TrimSpace(line)) == 0 {
			continue
		}
		data, err := s.data(line)
		if err == nil {
			err = s.client.Send(ctx, s.room, data, s.echo)
		}
		switch {
		case ctx.Err() != nil:
			return nil // it was stopped
		case errors.Is(err, client.ErrEnded):
			return err
		case err != nil:
			failed++
			fmt.Fprintf(os.Stderr, "* line %d: %v\n", n, err)
		default:
			sent++
		}
	}
	if err := lines.Err(); errors.Is(err, bufio.ErrTooLong) {
		return fmt.Errorf("line %d is longer than %d MiB; send it with roomcast send", sent+failed+1, maxLine>>20)
	} else if err != nil {
		return fmt.Errorf("stdin: %w", err)
	}
	if failed > 0 && !s.chat {
		return fmt.Errorf("%d lines sent, %d not", sent, failed)
	}
	return nil
}

// data is a line as JSON.
func (s *sender) data(line []byte) (json.RawMessage, error) {
	switch {
	case !utf8.Valid(line):
		return nil, errors.New("it is not UTF-8; send bytes with roomcast send --binary")
	case s.json && json.Valid(line):
		return bytes.Clone(line), nil
	}
	return compact(string(line)), nil
}
