package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net/url"
	"os"
	"text/tabwriter"
)

type roomsCmd struct {
	api
	Pattern string `placeholder:"PATTERN" xor:"what" help:"Only the rooms whose names match, such as chat/*."`
	Members string `placeholder:"ROOM" xor:"what" help:"List who is in this room instead."`
	JSON    bool   `name:"json" help:"One line of JSON each, as the API gives them."`
}

// Help is what the flags cannot say.
func (*roomsCmd) Help() string {
	return `A table on a terminal, lines with tabs in a pipe. Exit status: 0 listed, 1 not, 2 usage.

  roomcast rooms --pattern 'chat/*'
  roomcast rooms --members kitchen --json`
}

// Run lists the rooms, or the members of one.
func (c *roomsCmd) Run() error {
	ctx, release := untilSignal()
	defer release()
	path, query, heads := "/v1/rooms", url.Values{}, "ROOM\tMEMBERS\n"
	if c.Members != "" {
		path, heads = "/v1/rooms/"+url.PathEscape(c.Members)+"/members", "CONNECTION\tUSER\tADDRESS\tSESSION\n"
	} else if c.Pattern != "" {
		query.Set("pattern", c.Pattern)
	}
	var out interface {
		io.Writer
		Flush() error
	} = bufio.NewWriter(os.Stdout)
	if isTerminal(os.Stdout) && !c.JSON {
		out = tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
		fmt.Fprint(out, heads)
	}
	return c.pages(ctx, path, query, func(p page) error {
		for _, item := range append(p.Rooms, p.Members...) {
			if err := c.row(out, item); err != nil {
				return err
			}
		}
		return out.Flush()
	})
}

// row writes one item of the list.
func (c *roomsCmd) row(out io.Writer, item json.RawMessage) error {
	var room roomItem
	var member memberItem
	switch {
	case c.JSON:
		_, err := fmt.Fprintf(out, "%s\n", oneLine(item))
		return err
	case c.Members != "":
		if err := c.decode(item, &member); err != nil {
			return err
		}
		_, err := fmt.Fprintf(out, "%s\t%s\t%s\t%s\n", cell(member.Connection), cell(member.User), cell(member.Address), cell(member.Session))
		return err
	}
	if err := c.decode(item, &room); err != nil {
		return err
	}
	_, err := fmt.Fprintf(out, "%s\t%d\n", cell(room.title()), room.Members)
	return err
}
