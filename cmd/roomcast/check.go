package main

import (
	"fmt"
	"os"
	"strings"
	"text/tabwriter"

	"github.com/alecthomas/kong"

	"github.com/roomcast/roomcast/internal/config"
	"github.com/roomcast/roomcast/internal/server"
)

type checkCmd struct {
	config.Serve
	JSON bool `name:"json" help:"Print settings and problems as one line of JSON."`
}

// Help is what the flags cannot say.
func (*checkCmd) Help() string {
	return `Takes what serve takes, and neither listens nor connects. Exit status: 0 serve would start, if the address is free;
2 it would not, and stderr has all reasons, one in a line.

  roomcast check --config roomcast.yaml`
}

func (*checkCmd) loads() {}

// Run prints every setting with its source, and everything that is wrong.
func (c *checkCmd) Run(command *kong.Context, fault settingsFault) error {
	settings, problems := load(&c.Serve, command, fault)
	if len(problems) == 0 {
		if err := server.Check(&c.Serve); err != nil {
			problems = []error{err}
		}
	}
	if c.JSON {
		printJSON(report(settings, problems))
	} else {
		table := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
		fmt.Fprintln(table, "SETTING\tVALUE\tSOURCE")
		for _, s := range settings {
			fmt.Fprintf(table, "%s\t%s\t%s\n", s.Name, cell(s.Shown()), s.Source)
		}
		if err := table.Flush(); err != nil {
			return err
		}
	}
	if len(problems) > 0 {
		return exitError{exitUsage, lines(problems)}
	}
	return nil
}

// lines are several errors, each a line as main prints one.
type lines []error

func (l lines) Error() string {
	text := make([]string, 0, len(l))
	for _, err := range l {
		text = append(text, err.Error())
	}
	return strings.Join(text, "\nroomcast: ")
}

// cell is a value in a table: lists without brackets, and nothing that would leave its line.
func cell(value any) string {
	text := fmt.Sprint(value)
	if list, ok := value.([]string); ok {
		text = strings.Join(list, ", ")
	}
	if text == "" {
		return "-"
	}
	return printable(text)
}

// checked is the report in JSON.
type checked struct {
	Settings []checkedSetting `json:"settings"`
	Problems []string         `json:"problems"`
}

type checkedSetting struct {
	Name   string      `json:"name"`
	Value  any         `json:"value"`
	Source config.Kind `json:"source"`
	From   string      `json:"from,omitempty"` // the variable or file
	Line   int         `json:"line,omitempty"` // in the file
}

func report(settings []config.Setting, problems []error) checked {
	r := checked{Settings: []checkedSetting{}, Problems: []string{}}
	for _, s := range settings {
		r.Settings = append(r.Settings, checkedSetting{s.Name, s.Shown(), s.Source.Kind, s.Source.Name, s.Source.Line})
	}
	for _, err := range problems {
		r.Problems = append(r.Problems, err.Error())
	}
	return r
}
