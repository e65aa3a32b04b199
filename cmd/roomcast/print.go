package main

import (
	"bytes"
	"encoding/json"
	"os"
	"strings"
	"unicode"
)

// printJSON writes a value as one line of JSON on stdout.
func printJSON(value any) {
	_, _ = os.Stdout.Write(append(compact(value), '\n')) // who read it has gone, and nobody is left to be told
}

// compact is a value as JSON without anything escaped that need not be.
func compact(value any) []byte {
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(value); err != nil {
		panic(err) // our own structs and strings
	}
	return bytes.TrimSuffix(out.Bytes(), []byte("\n"))
}

// printable is a text that came from elsewhere, on one line and without the characters by which a terminal is commanded: if it has
// any of them, it is written as a JSON string.
func printable(text string) string {
	if strings.IndexFunc(text, commanding) < 0 {
		return text
	}
	quoted := string(compact(text))
	return strings.Map(func(r rune) rune {
		if commanding(r) {
			return unicode.ReplacementChar // JSON leaves some of them as they are
		}
		return r
	}, quoted)
}

// commanding is whether a terminal may do something else with a character than show it: controls of all kinds, and those that turn
// the direction of the text around.
func commanding(r rune) bool {
	return unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r) || r == '\u2028' || r == '\u2029'
}
