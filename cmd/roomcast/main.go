// Command roomcast is the room server and its tools, in one binary.
package main

import (
	"errors"
	"fmt"
	"os"

	"github.com/alecthomas/kong"

	"github.com/roomcast/roomcast/internal/config"
)

// Exit codes besides 0.
const (
	exitFailed = 1 // it was tried and did not work
	exitUsage  = 2 // it was asked for in a way that makes no sense
)

// commands is the command line: one field per command.
type commands struct {
	Serve      serveCmd      `cmd:"" help:"Serve rooms over WebSocket, and a page to try them on."`
	Check      checkCmd      `cmd:"" help:"Check the settings of serve without serving, and say where each comes from."`
	Join       joinCmd       `cmd:"" help:"Chat in a room, or pipe lines into it and out of it."`
	Watch      watchCmd      `cmd:"" help:"Print what is sent in rooms."`
	Send       sendCmd       `cmd:"" help:"Send a message to a room, a user or a connection, over the HTTP API."`
	Rooms      roomsCmd      `cmd:"" help:"List the rooms, or who is in one, over the HTTP API."`
	Bench      benchCmd      `cmd:"" help:"Load a server, measure it, and check every delivery."`
	Token      tokenCmd      `cmd:"" help:"Make a token for development."`
	Completion completionCmd `cmd:"" help:"Print a script with which the shell completes this command line."`
	Version    versionCmd    `cmd:"" help:"Print the version and what it was built from."`

	Complete completeCmd `cmd:"" name:"__complete" hidden:"" passthrough:"" help:"What the scripts of completion ask."`
}

func newParser(c *commands) *kong.Kong {
	return kong.Must(c,
		kong.Name("roomcast"),
		kong.Description("WebSocket rooms: who connects to a room gets what the others in it send."),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true, WrapUpperBound: 110}),
		config.Durations(),
	)
}

func main() {
	command, err := parse(os.Args[1:])
	if err != nil {
		fmt.Fprintf(os.Stderr, "roomcast: %v; see %s --help\n", err, commandOf(err))
		os.Exit(exitUsage)
	}
	if err := command.Run(); err != nil {
		fmt.Fprintf(os.Stderr, "roomcast: %v\n", err)
		os.Exit(exitCode(err))
	}
}

// parse reads the command line. Where the settings of serve are not as they should be, the command is returned all the same, with
// the fault bound to it: config.Load says better than the parser what is wrong, and everything that is.
func parse(args []string) (*kong.Context, error) {
	command, err := newParser(&commands{}).Parse(usual(args))
	var fault *kong.ParseError
	if !errors.As(err, &fault) {
		if err == nil {
			command.Bind(settingsFault{})
		}
		return command, err
	}
	command = fault.Context
	if command.Error != nil || command.Selected() == nil {
		return nil, err
	}
	if _, ok := command.Selected().Target.Addr().Interface().(interface{ loads() }); !ok {
		return nil, err
	}
	if _, err := command.Apply(); err != nil {
		return nil, err
	}
	command.Bind(settingsFault{err})
	return command, nil
}

// settingsFault is what the parser found wrong with the settings of serve, if anything.
type settingsFault struct{ error }

// usual puts what people try first into our own words: `roomcast help`, `roomcast help serve`, `roomcast --version`.
func usual(args []string) []string {
	switch {
	case len(args) > 0 && args[0] == "help":
		return append(append([]string(nil), args[1:]...), "--help")
	case len(args) == 1 && args[0] == "--version":
		return []string{"version"}
	}
	return args
}

// exitError is an error with the exit code it stands for.
type exitError struct {
	code int
	error
}

func (e exitError) Unwrap() error { return e.error }

func exitCode(err error) int {
	var exit exitError
	if errors.As(err, &exit) {
		return exit.code
	}
	return exitFailed
}

// commandOf is the command whose help says how to mend a usage error.
func commandOf(err error) string {
	var parse *kong.ParseError
	if errors.As(err, &parse) && parse.Context.Selected() != nil {
		return "roomcast " + parse.Context.Selected().Name
	}
	return "roomcast"
}
