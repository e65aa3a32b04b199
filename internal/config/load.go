package config

import (
	"errors"
	"os"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/alecthomas/kong"
)

// fileFlag names the configuration file.
const fileFlag = "config"

// Load gives every setting of the command that ctx has selected, which embeds s, its effective value: that of the command line,
// else of the environment, else of the file, else the default. It returns all settings with their sources, and all that is wrong
// with them; s is good for use if nothing is.
func (s *Serve) Load(ctx *kong.Context) ([]Setting, []error) {
	l := loader{wrong: map[string]bool{}, given: map[string]reflect.Value{}}
	flags := ctx.Flags()
	for _, p := range ctx.Path {
		if p.Flag != nil && !p.Resolved {
			l.given[p.Flag.Name] = reflect.ValueOf(ctx.FlagValue(p.Flag))
		}
	}
	known := settable(flags)
	l.readFile(flags, known)
	settings := make([]Setting, 0, len(known))
	for _, f := range known {
		settings = append(settings, l.setting(f))
	}
	for _, err := range s.Problems() {
		l.misfit(err, settings)
	}
	return settings, l.problems
}

// loader collects what Load finds.
type loader struct {
	given    map[string]reflect.Value // by flag name: what stands on the command line
	file     map[string]entry         // by flag name
	wrong    map[string]bool          // flags whose value cannot be read
	problems []error
}

// readFile reads the file that the flag or its variable names, if there is one.
func (l *loader) readFile(all, known []*kong.Flag) {
	at := slices.IndexFunc(all, func(f *kong.Flag) bool { return f.Name == fileFlag })
	if at < 0 {
		return
	}
	name, source := "", Source{Kind: FromFlag}
	if v, ok := l.given[fileFlag]; ok {
		name = v.String()
	} else if env, value, ok := variable(all[at]); ok {
		name, source = value, Source{Kind: FromEnvironment, Name: env}
	}
	all[at].Target.SetString(name)
	if name == "" {
		return
	}
	var found []error
	l.file, found = readFile(name, source, known)
	l.problems = append(l.problems, found...)
}

// variable is the environment variable of a flag that is set.
func variable(f *kong.Flag) (name, value string, ok bool) {
	for _, name := range f.Envs {
		if value, ok := os.LookupEnv(name); ok {
			return name, value, true
		}
	}
	return "", "", false
}

// setting finds the effective value of a flag and writes it into the flag's field.
func (l *loader) setting(f *kong.Flag) Setting {
	s := Setting{Name: f.Name, Secret: tagged(f, "secret"), Live: tagged(f, "reload"), Source: Source{Kind: FromDefault}}
	var raw any
	entry, inFile := l.file[f.Name]
	given, onLine := l.given[f.Name]
	env, value, inEnv := variable(f)
	switch {
	case onLine:
		s.Source = Source{Kind: FromFlag}
	case inEnv:
		raw, s.Source = value, Source{Kind: FromEnvironment, Name: env}
	case inFile:
		raw, s.Source = entry.value, entry.source
	case f.HasDefault:
		raw = f.Default
	}
	target, err := reflect.New(f.Target.Type()).Elem(), error(nil)
	switch {
	case onLine:
		target.Set(given)
	case raw != nil:
		err = decode(f, raw, target)
	}
	if err == nil {
		err = checkEnum(f, target)
	}
	if err != nil {
		l.wrong[f.Name] = true
		shown, remedy := raw, err.Error()
		if onLine {
			shown = target.Interface()
		}
		if s.Secret {
			shown, remedy = masked, "it cannot be read as what it has to be; see roomcast serve --help"
		}
		l.problems = append(l.problems, &Problem{Flag: f.Name, Value: shown, Remedy: remedy, Source: s.Source})
		s.value, s.set = shown, true
		return s
	}
	f.Target.Set(target)
	s.value, s.set = target.Interface(), !target.IsZero()
	return s
}

// decode reads a value as the command line would; its error says what to write instead.
func decode(f *kong.Flag, raw any, target reflect.Value) error {
	scan := kong.Scan().PushTyped(raw, kong.FlagValueToken)
	err := f.Mapper.Decode(&kong.DecodeContext{Value: f.Value, Scan: scan}, target)
	if err == nil {
		return nil
	}
	switch {
	case target.Type() == reflect.TypeFor[time.Duration](), target.Type() == reflect.TypeFor[Bytes]():
		return err // it has a remedy of its own
	case target.Kind() == reflect.Bool:
		return errors.New("write true or false")
	case target.CanInt(), target.CanUint():
		return errors.New("write a whole number")
	case target.CanFloat():
		return errors.New("write a number")
	}
	return err
}

// checkEnum refuses what is not among the values of an enum.
func checkEnum(f *kong.Flag, target reflect.Value) error {
	if f.Enum == "" || target.Kind() != reflect.String || f.EnumMap()[target.String()] {
		return nil
	}
	return errors.New("write one of " + strings.Join(f.EnumSlice(), ", "))
}

// misfit notes a problem that a group has found, with the source of the value. What could not be read has been noted already.
func (l *loader) misfit(err error, settings []Setting) {
	var p *Problem
	if !errors.As(err, &p) {
		l.problems = append(l.problems, err)
		return
	}
	if l.wrong[p.Flag] {
		return
	}
	for _, s := range settings {
		if s.Name == p.Flag {
			p.Source = s.Source
			if s.Secret {
				p.Value = masked
			}
		}
	}
	l.problems = append(l.problems, err)
}
