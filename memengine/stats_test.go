package memengine

import (
	"reflect"
	"strings"
	"testing"

	"github.com/roomcast/roomcast"
)

// TestStats holds that what is kept is counted by kind, on whatever node it came in, and who is there.
func TestStats(t *testing.T) {
	is := func(prefix string) func(string) bool {
		return func(room string) bool { return strings.HasPrefix(room, prefix) }
	}
	engines := nodes(t, Options{History: []roomcast.Retention{{Name: "a", Match: is("a"), Messages: 2}, {Name: "b", Match: is("b")}}}, 2)
	for i, room := range []string{"a1", "a1", "a1", "a2", "c"} {
		if err := engines[i%2].Publish(t.Context(), room, []roomcast.Entry{{Message: roomcast.Text("12345678")}}); err != nil {
			t.Fatal(err)
		}
	}
	engines[0].Present(roomcast.Member{ID: "x"})
	want := Stats{Kinds: []KindStats{{"a", 3, 3 * (entryBytes + 8)}, {"b", 0, 0}}, Members: 1}
	if got := engines[1].Stats(); !reflect.DeepEqual(got, want) {
		t.Errorf("%+v, want %+v", got, want)
	}
}
