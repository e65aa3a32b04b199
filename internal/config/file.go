package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"regexp"
	"strconv"

	"github.com/alecthomas/kong"
	"go.yaml.in/yaml/v3"
)

// maxFile is far more than all settings together take; a larger file is another one than was meant.
const maxFile = 1 << 20

// entry is the value of a key in the file: a string as it was written, or a []any of such strings.
type entry struct {
	value  any
	source Source
}

// readFile reads the configuration file: YAML, whose keys are the names of the flags. source is what named the file.
func readFile(name string, source Source, known []*kong.Flag) (map[string]entry, []error) {
	root, err := parseFile(name)
	var syntax *syntaxError
	switch {
	case errors.As(err, &syntax):
		return nil, []error{syntax}
	case err != nil:
		return nil, []error{&Problem{Flag: fileFlag, Value: name, Remedy: err.Error(), Source: source}}
	case root == nil:
		return nil, nil
	case root.Kind != yaml.MappingNode:
		return nil, []error{&syntaxError{name, root.Line, "this is no setting; " + writeSetting}}
	}
	var problems []error
	entries := map[string]entry{}
	for i := 0; i+1 < len(root.Content); i += 2 {
		key, node := root.Content[i], root.Content[i+1]
		flag := flagNamed(known, key.Value)
		switch first, twice := entries[key.Value]; {
		case flag == nil:
			problems = append(problems, &syntaxError{name, key.Line, unknownKey(key.Value, known)})
		case twice:
			problems = append(problems, &syntaxError{name, key.Line,
				fmt.Sprintf("%s is set in line %d already; set it once", key.Value, first.source.Line)})
		default:
			value, wrong := fileValue(node, flag.IsSlice())
			if wrong != "" {
				problems = append(problems, &syntaxError{name, node.Line, key.Value + ": " + wrong})
				continue
			}
			entries[key.Value] = entry{value, Source{Kind: FromFile, Name: name, Line: key.Line}}
		}
	}
	return entries, problems
}

// parseFile returns the one document in the file, nil if it is empty.
func parseFile(name string) (*yaml.Node, error) {
	content, err := readBounded(name)
	if err != nil {
		return nil, err
	}
	decoder := yaml.NewDecoder(bytes.NewReader(content))
	var document, more yaml.Node
	err = decoder.Decode(&document)
	if err == nil {
		if err = decoder.Decode(&more); err == nil {
			return nil, &syntaxError{name, more.Line, "a second document begins; write all settings into one"}
		}
	}
	switch {
	case !errors.Is(err, io.EOF):
		return nil, newSyntaxError(name, err)
	case len(document.Content) == 0 || document.Content[0].Tag == "!!null":
		return nil, nil
	}
	return document.Content[0], nil
}

// readBounded reads a file of at most maxFile bytes.
func readBounded(name string) ([]byte, error) {
	f, err := os.Open(name)
	var content []byte
	if err == nil {
		defer f.Close() // it was only read
		content, err = io.ReadAll(io.LimitReader(f, maxFile+1))
	}
	var path *fs.PathError
	switch {
	case errors.As(err, &path):
		return nil, fmt.Errorf("%w; name a file that can be read", path.Err)
	case err == nil && len(content) > maxFile:
		return nil, fmt.Errorf("it has more than %v; name a configuration file", Bytes(maxFile))
	}
	return content, err
}

const writeSetting = "write one setting in a line, such as addr: 127.0.0.1:8080"

// syntaxError is what is wrong with a file.
type syntaxError struct {
	file string
	line int
	text string // with the remedy
}

// Error is one line.
func (e *syntaxError) Error() string { return fmt.Sprintf("%s:%d: %s", e.file, e.line, e.text) }

var yamlError = regexp.MustCompile(`^yaml: (?:line (\d+): )?(?s:(.*))$`)

// newSyntaxError takes the line out of the library's message.
func newSyntaxError(name string, err error) error {
	e := &syntaxError{name, 1, err.Error()}
	if m := yamlError.FindStringSubmatch(e.text); m != nil {
		e.text = m[2]
		if line, err := strconv.Atoi(m[1]); err == nil {
			e.line = line
		}
	}
	e.text = "this is not YAML (" + e.text + "); " + writeSetting
	return e
}

// fileValue is the value of a key, or what is wrong with it.
func fileValue(node *yaml.Node, list bool) (value any, wrong string) {
	switch {
	case node.Kind == yaml.ScalarNode && node.Tag == "!!null":
		return nil, "there is no value; write one, or take the line out"
	case node.Kind == yaml.ScalarNode && list:
		return []any{node.Value}, ""
	case node.Kind == yaml.ScalarNode:
		return node.Value, ""
	case node.Kind == yaml.AliasNode:
		return nil, "*" + node.Value + " refers to another value; write the value itself, in quotes if it begins with *"
	case node.Kind == yaml.MappingNode:
		return nil, "this has settings in it; write a plain value"
	case !list:
		return nil, "this is a list; write one value"
	}
	items := []any{} // not nil: an empty list is a value too
	for _, item := range node.Content {
		if item.Kind != yaml.ScalarNode || item.Tag == "!!null" {
			return nil, fmt.Sprintf("item %d is no plain value; write one, in quotes if it begins with *", len(items)+1)
		}
		items = append(items, item.Value)
	}
	return items, ""
}

func flagNamed(flags []*kong.Flag, name string) *kong.Flag {
	for _, f := range flags {
		if f.Name == name {
			return f
		}
	}
	return nil
}

// unknownKey suggests the name that is nearest.
func unknownKey(key string, known []*kong.Flag) string {
	names := make([]string, 0, len(known))
	for _, f := range known {
		names = append(names, f.Name)
	}
	remedy := "roomcast serve --help lists the settings, which are named like the flags"
	if near := nearest(key, names); near != "" {
		remedy = "did you mean " + near + "?"
	}
	return fmt.Sprintf("no setting is named %.64q; %s", key, remedy)
}
