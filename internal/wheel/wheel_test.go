package wheel

import (
	"testing"

	"go.uber.org/goleak"
	"pgregory.net/rapid"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

type thing struct{ place Place }

// Whatever is put in and taken out, everything in the wheel is under each hand exactly once in a turn, and nothing else is.
func TestWheel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := Wheel[*thing]{Place: func(v *thing) *Place { return &v.place }}
		in := map[*thing]bool{}
		for range rapid.IntRange(0, 200).Draw(t, "steps") {
			switch {
			case len(in) == 0 || rapid.Bool().Draw(t, "add"):
				v := new(thing)
				w.Add(v)
				in[v] = true
			case rapid.Bool().Draw(t, "turn"):
				w.Turn(rapid.IntRange(0, Slots).Draw(t, "lag"))
			default:
				all := w.All()
				v := all[rapid.IntRange(0, len(all)-1).Draw(t, "which")]
				w.Remove(v)
				delete(in, v)
			}
		}
		first, second := map[*thing]int{}, map[*thing]int{}
		for range Slots {
			a, b := w.Turn(7)
			for _, v := range a {
				first[v]++
			}
			for _, v := range b {
				second[v]++
			}
		}
		if w.Len() != len(in) || len(w.All()) != len(in) || len(first) != len(in) || len(second) != len(in) {
			t.Fatalf("%d in the wheel: Len %d, All %d, under the hands %d and %d", len(in), w.Len(), len(w.All()), len(first), len(second))
		}
		for v := range in {
			if first[v] != 1 || second[v] != 1 {
				t.Fatalf("under the first hand %d times in a turn and under the second %d, want 1", first[v], second[v])
			}
		}
	})
}
