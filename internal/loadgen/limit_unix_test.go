//go:build unix

package loadgen

import (
	"strings"
	"testing"
)

func TestLimit(t *testing.T) {
	for _, c := range []struct {
		conns int
		own   bool
		want  string // "" for no error
	}{
		{968, false, ""},
		{969, false, "conns 969: this needs 1001 descriptors and the limit is 1000; raise it with `ulimit -n 1001`, or set 968 or less"},
		{484, true, ""},
		{485, true, "conns 485: this needs 1002 descriptors and the limit is 1000; raise it with `ulimit -n 1002`, or set 484 or less"},
	} {
		got := ""
		if err := compareLimit(&Config{Conns: c.conns, OwnServer: c.own}, 1000); err != nil {
			got = err.Error()
		}
		if got != c.want {
			t.Errorf("got %q, want %q", got, c.want)
		}
	}
	if err := checkLimit(&Config{Conns: maxMember}); err == nil || !strings.Contains(err.Error(), "ulimit -n 16777247") {
		t.Errorf("16 million connections: %v", err)
	}
}
