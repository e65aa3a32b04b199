// Command roomcast is the room server and its tools, in one binary.
package main

import (
	"errors"
	"fmt"
	"os"

	"github.com/alecthomas/kong"
)

// Exit codes besides 0.
const (
	exitFailed = 1 // it was tried and did not work
	exitUsage  = 2 // it was asked for in a way that makes no sense
)

// commands is the command line: one field per command.
type commands struct {
	Serve   serveCmd   `cmd:"" help:"Serve rooms over WebSocket, and a page to try them on."`
	Bench   benchCmd   `cmd:"" help:"Load a server, measure it, and check every delivery."`
	Token   tokenCmd   `cmd:"" help:"Make a token for development."`
	Version versionCmd `cmd:"" help:"Print the version and what it was built from."`
}

func main() {
	parser := kong.Must(&commands{},
		kong.Name("roomcast"),
		kong.Description("WebSocket rooms: who connects to a room gets what the others in it send."),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true, WrapUpperBound: 110}),
	)
	command, err := parser.Parse(os.Args[1:])
	if err != nil {
		fmt.Fprintf(os.Stderr, "roomcast: %v; see %s --help\n", err, commandOf(err))
		os.Exit(exitUsage)
	}
	if err := command.Run(); err != nil {
		fmt.Fprintf(os.Stderr, "roomcast: %v\n", err)
		os.Exit(exitCode(err))
	}
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
