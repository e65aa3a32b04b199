package config

import (
	"bytes"
	"encoding/json"
	"testing"
	"unicode"
)

// TestLogControlCharacters holds that a terminal finds nothing to obey in the log, and that JSON says what was logged all the same.
func TestLogControlCharacters(t *testing.T) {
	evil := "\n\r\x00\x1b[31m\x7f\u0085\u009b31m\u2028\u202e\u2066é"
	for _, format := range []string{"text", "json"} {
		for _, value := range []string{evil, "\x7f"} {
			var out bytes.Buffer
			settings := Log{LogFormat: format, LogLevel: "info"}
			settings.Logger(&out).Info("said", "value", value)
			line := bytes.TrimSuffix(out.Bytes(), []byte("\n"))
			if i := bytes.IndexFunc(line, func(r rune) bool { return unicode.In(r, unicode.Cc, unicode.Bidi_Control, unicode.Zl) }); i >= 0 {
				t.Errorf("%s: %q has a control character at %d", format, line, i)
			}
			var event struct{ Value string }
			if err := json.Unmarshal(line, &event); format == "json" && (err != nil || event.Value != value) {
				t.Errorf("%s says %q (%v), want %q", line, event.Value, err, value)
			}
		}
	}
}
