package config

import (
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/alecthomas/kong"
)

// Source is where a setting has its value from.
type Source struct {
	Kind Kind
	Name string // of the variable or the file
	Line int    // in the file
}

// Kind is a kind of Source. The order is that of precedence.
type Kind string

// The kinds of Source.
const (
	FromFlag        Kind = "flag"
	FromEnvironment Kind = "environment"
	FromFile        Kind = "file"
	FromDefault     Kind = "default"
)

// String names the source for people: flag, environment ROOMCAST_ADDR, roomcast.yaml:3, default.
func (s Source) String() string {
	switch s.Kind {
	case FromEnvironment:
		return "environment " + s.Name
	case FromFile:
		return fmt.Sprintf("%s:%d", s.Name, s.Line)
	default:
		return string(s.Kind)
	}
}

// Setting is one setting with its effective value.
type Setting struct {
	Name   string // of the flag, and the key in the file
	Source Source
	Secret bool // its value is shown to nobody
	Live   bool // a change takes effect while the server runs

	value any
	set   bool // it is not the zero value
}

const masked = "********"

// Shown is the value in a form that can be printed and written as JSON; that of a secret is masked.
func (s *Setting) Shown() any {
	switch {
	case s.Secret && s.set:
		return masked
	case s.Secret:
		return ""
	}
	if d, ok := s.value.(time.Duration); ok {
		return d.String()
	}
	return s.value
}

// Changed returns the settings of now whose value is not the one of before.
func Changed(before, now []Setting) []Setting {
	old := map[string]any{}
	for _, s := range before {
		old[s.Name] = s.value
	}
	var changed []Setting
	for _, s := range now {
		if !reflect.DeepEqual(old[s.Name], s.value) {
			changed = append(changed, s)
		}
	}
	return changed
}

// Problem is a setting that makes no sense.
type Problem struct {
	Flag   string // without its dashes
	Value  any    // of a secret: only that it is there
	Remedy string
	Source Source // the zero value stands for the flag
}

// Error is one line: where it was set, to what, and what to do.
func (p *Problem) Error() string {
	value := fmt.Sprint(p.Value)
	if strings.ContainsFunc(value, unicode.IsControl) {
		value = strconv.Quote(value) // it stays one line
	}
	switch p.Source.Kind {
	case FromEnvironment:
		return fmt.Sprintf("%s %s: %s", p.Source.Name, value, p.Remedy)
	case FromFile:
		return fmt.Sprintf("%s: %s %s: %s", p.Source, p.Flag, value, p.Remedy)
	default:
		return fmt.Sprintf("--%s %s: %s", p.Flag, value, p.Remedy)
	}
}

func invalid(flag string, value any, remedy string) error {
	return &Problem{Flag: flag, Value: value, Remedy: remedy}
}

// settable are the flags of a command that the environment and the file may set too: those that have a variable, but for the
// name of the file itself.
func settable(flags []*kong.Flag) []*kong.Flag {
	var found []*kong.Flag
	for _, f := range flags {
		if len(f.Envs) > 0 && f.Name != fileFlag {
			found = append(found, f)
		}
	}
	return found
}

// tagged is whether a flag's field has the tag, such as secret:"true".
func tagged(f *kong.Flag, tag string) bool {
	yes, err := f.Tag.GetBool(tag)
	return err == nil && yes
}
