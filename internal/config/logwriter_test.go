package config

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/synctest"
)

// A log that nobody reads holds up nobody; what has been lost is said as soon as something is read again.
func TestLogWriterStuck(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, w := io.Pipe()
		l := NewLogWriter(w)
		for i := range 3 * logLines {
			fmt.Fprintf(l, "line %d\n", i)
			if i == 0 {
				synctest.Wait() // it is being written, and nobody reads
			}
		}
		var got bytes.Buffer
		go io.Copy(&got, r)
		synctest.Wait()
		fmt.Fprintln(l, "at last")
		l.Close()
		w.Close()
		synctest.Wait()
		lines := strings.Split(strings.TrimSpace(got.String()), "\n")
		want := fmt.Sprintf("(%d lines of the log were dropped: nobody took them)", 2*logLines-1)
		if n := len(lines); n != logLines+3 || lines[n-2] != want || lines[n-1] != "at last" {
			t.Errorf("%d lines, the last are %q, want %d and %q", len(lines), lines[max(0, len(lines)-2):], logLines+3, want)
		}
	})
}

// Closing does not wait for a log that takes nothing, and what is written afterwards is ignored.
func TestLogWriterClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, w := io.Pipe()
		l := NewLogWriter(w)
		fmt.Fprintln(l, "stuck")
		l.Close()
		l.Close()
		if n, err := fmt.Fprintln(l, "late"); n != 5 || err != nil {
			t.Error(n, err)
		}
		r.Close()
	})
}
