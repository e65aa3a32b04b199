package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"unicode/utf8"
)

const maxPayload = 48 << 20 // of one message; a server takes less

type sendCmd struct {
	Room string `arg:"" optional:"" help:"Name of the room; leave it out with --to-user and --to-connection."`
	Data string `arg:"" optional:"" help:"The message: JSON, or else it is sent as a string. - or nothing reads it from stdin."`
	api
	ToUser         string `placeholder:"USER" xor:"to" help:"Send to every connection of this user instead of to a room."`
	ToConnection   string `placeholder:"ID" xor:"to" help:"Send to this connection instead of to a room."`
	User           string `placeholder:"USER" help:"In whose name the message is sent."`
	Key            string `placeholder:"KEY" help:"What the message is the latest of, in rooms that keep only the latest for slow members."`
	IdempotencyKey string `placeholder:"KEY" help:"A message with the same key is sent once, however often this is repeated."`
	Text           bool   `xor:"form" help:"Send a string even if the message could be read as JSON."`
	Binary         bool   `xor:"form,lines" help:"Send bytes: of the file that DATA names, or of stdin."`
	Lines          bool   `xor:"lines" help:"Each line of stdin is a message of its own."`
	JSON           bool   `name:"json" help:"Print the answer of the API, one line of JSON for each message."`
}

// Help is what the flags cannot say.
func (*sendCmd) Help() string {
	return `Prints how many connections the message was delivered to, and how many were too slow for it.

Exit status: 0 sent, 1 not sent, 2 usage.

  roomcast send kitchen '{"text":"lunch is ready"}'
  roomcast send --to-user ann hello
  roomcast send logs --lines <log`
}

// Validate sorts out what the arguments are and reports what contradicts itself.
func (c *sendCmd) Validate() error {
	if err := c.api.Validate(); err != nil {
		return err
	}
	direct := c.ToUser != "" || c.ToConnection != ""
	switch {
	case direct && c.Room != "" && c.Data != "":
		return fmt.Errorf("a room, %s, and --to-user or --to-connection: give one of them", c.Room)
	case !direct && c.Room == "":
		return errors.New("no room given: write roomcast send ROOM DATA, or use --to-user or --to-connection")
	case direct && c.Key != "":
		return fmt.Errorf("--key %s: leave it out; only messages to rooms have one", c.Key)
	case c.Lines && c.IdempotencyKey != "":
		return fmt.Errorf("--idempotency-key %s: leave it out with --lines; all lines but the first would be taken for repetitions", c.IdempotencyKey)
	}
	if direct {
		c.Room, c.Data = "", c.Room+c.Data // at most one of the two is there
	}
	if c.Lines && c.Data != "" && c.Data != "-" {
		return fmt.Errorf("a message, %.40q, and --lines, which takes them from stdin: give one of them", c.Data)
	}
	return nil
}

// Run sends the message, or each line.
func (c *sendCmd) Run() error {
	ctx, release := untilSignal()
	defer release()
	if c.Data == "" && !c.Binary && isTerminal(os.Stdin) && !c.Lines {
		return exitError{exitUsage, errors.New("no message given: write it behind the room, or pipe it in")}
	}
	if c.Lines {
		return c.sendLines(ctx, os.Stdin)
	}
	message, err := c.message()
	if err != nil {
		return err
	}
	return c.send(ctx, message)
}

// message reads the message from where it is.
func (c *sendCmd) message() (publication, error) {
	var content []byte
	var err error
	switch {
	case c.Data == "" || c.Data == "-":
		content, err = readAll("stdin", os.Stdin)
		if !c.Binary {
			content = bytes.TrimSuffix(bytes.TrimSuffix(content, []byte("\n")), []byte("\r"))
		}
	case c.Binary:
		var f *os.File
		if f, err = os.Open(c.Data); err == nil {
			defer f.Close() // it was only read
			content, err = readAll(c.Data, f)
		}
	default:
		content = []byte(c.Data)
	}
	if err != nil {
		return publication{}, err
	}
	if c.Binary {
		return c.publication(publication{Base64: &content}), nil
	}
	return c.text(content)
}

func readAll(name string, r io.Reader) ([]byte, error) {
	content, err := io.ReadAll(io.LimitReader(r, maxPayload+1))
	if err == nil && len(content) > maxPayload {
		err = fmt.Errorf("%s has more than %d MiB, more than any server takes; send it in parts", name, maxPayload>>20)
	}
	return content, err
}

// text is a message of JSON or of a string.
func (c *sendCmd) text(content []byte) (publication, error) {
	switch {
	case !utf8.Valid(content):
		return publication{}, errors.New("the message is not UTF-8; send bytes with --binary")
	case !c.Text && json.Valid(content):
		return c.publication(publication{Data: content}), nil
	}
	return c.publication(publication{Data: compact(string(content))}), nil
}

func (c *sendCmd) publication(p publication) publication {
	p.User, p.Key = c.User, c.Key
	return p
}

// path is where the message is posted to.
func (c *sendCmd) path() string {
	switch {
	case c.ToUser != "":
		return "/v1/users/" + url.PathEscape(c.ToUser) + "/messages"
	case c.ToConnection != "":
		return "/v1/connections/" + url.PathEscape(c.ToConnection) + "/messages"
	}
	return "/v1/rooms/" + url.PathEscape(c.Room) + "/messages"
}

// send sends one message and prints what has become of it.
func (c *sendCmd) send(ctx context.Context, message publication) error {
	answer, err := c.publish(ctx, c.path(), c.IdempotencyKey, message)
	if err != nil {
		return err
	}
	var r receipt
	if err := c.decode(answer, &r); err != nil {
		return err
	}
	done := fmt.Sprintf("delivered %d, failed %d", r.Delivered, r.Failed)
	switch {
	case c.JSON:
		done = string(bytes.TrimSpace(oneLine(answer)))
	case r.Offset > 0:
		done = fmt.Sprintf("stored as message %d of the room", r.Offset)
	}
	if r.Replayed && !c.JSON {
		done += " (by an earlier request with this key)"
	}
	_, err = fmt.Println(done)
	return err
}

// sendLines sends each line of the input; the first that cannot be sent ends it.
func (c *sendCmd) sendLines(ctx context.Context, input io.Reader) error {
	lines := bufio.NewScanner(input)
	lines.Buffer(nil, maxLine)
	n := 1
	for ; lines.Scan(); n++ {
		message, err := c.text(lines.Bytes())
		if err == nil {
			err = c.send(ctx, message)
		}
		if err != nil {
			return fmt.Errorf("line %d: %w", n, err)
		}
	}
	if err := lines.Err(); err != nil {
		return fmt.Errorf("line %d: %w", n, err)
	}
	return nil
}
