package protocol

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"
)

// document is what people read who write a client.
func document(t *testing.T) string {
	t.Helper()
	p, err := os.ReadFile("../../../docs/protocol.md")
	if err != nil {
		t.Fatal(err)
	}
	return string(p)
}

// TestDocumentHasTheExamples holds that every golden file stands in the document as a line of its own.
func TestDocumentHasTheExamples(t *testing.T) {
	lines := map[string]bool{}
	for line := range strings.Lines(document(t)) {
		lines[line] = true
	}
	for _, file := range files(t) {
		example, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if !lines[string(example)] {
			t.Errorf("docs/protocol.md does not show %s: %s", file, example)
		}
	}
}

// TestDocumentShowsNothingElse holds that the examples of the document are golden files, and that what its transcript says is true.
func TestDocumentShowsNothingElse(t *testing.T) {
	known := map[string]bool{}
	for _, file := range files(t) {
		example, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		known[string(example)] = true
	}
	for line := range strings.Lines(document(t)) {
		if frame, sent := strings.CutPrefix(line, "> "); sent {
			if _, fault := Decode([]byte(frame)); fault != nil {
				t.Errorf("the transcript sends what is refused with %+v: %s", fault, line)
			}
		}
		if frame, received := strings.CutPrefix(line, "< "); received && !json.Valid([]byte(frame)) {
			t.Errorf("the transcript receives what is not JSON: %s", line)
		}
		if strings.HasPrefix(line, "{") && !known[line] {
			t.Errorf("an example is no golden file: %s", line)
		}
	}
}

// TestDocumentHasTheTables holds that the tables of codes are those of the package, row by row.
func TestDocumentHasTheTables(t *testing.T) {
	errors := "| code | what it means | what a client does |\n|---|---|---|\n"
	for _, e := range ErrorCodes {
		errors += fmt.Sprintf("| `%s` | %s | %s |\n", e.Code, e.Meaning, e.Remedy)
	}
	closes := "| code | name | why | what a client does |\n|---|---|---|---|\n"
	for _, c := range CloseCodes {
		closes += fmt.Sprintf("| %d | `%s` | %s | %s |\n", c.Code, c.Name, c.Why, c.Retry)
	}
	text := document(t)
	for _, table := range []string{errors, closes} {
		if !strings.Contains(text, table+"\n") {
			t.Errorf("docs/protocol.md lacks this table, or has more rows in it:\n%s", table)
		}
	}
	for _, bound := range []string{
		fmt.Sprintf("at most %d bytes as it stands in the frame", MaxIDBytes),
		fmt.Sprintf("more than %d objects and arrays around a value", MaxDepth),
		"subprotocol `" + Version + "`",
	} {
		if !strings.Contains(text, bound) {
			t.Errorf("docs/protocol.md does not say %q", bound)
		}
	}
}
