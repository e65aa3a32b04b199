package config

import "testing"

func TestBytes(t *testing.T) {
	for _, c := range []struct {
		text   string
		want   Bytes
		string string
	}{
		{"0", 0, "0B"}, {"1", 1, "1B"}, {"1023B", 1023, "1023B"}, {"65536", 65536, "64KiB"},
		{"1KiB", 1 << 10, "1KiB"}, {"1mib", 1 << 20, "1MiB"}, {" 2 GiB ", 2 << 30, "2GiB"}, {"1.5MiB", 3 << 19, "1536KiB"},
		{"1kB", 1000, "1000B"}, {"1.5MB", 1_500_000, "1500000B"}, {"1GB", 1e9, "1000000000B"}, {"2TiB", 2 << 40, "2048GiB"},
		{"9223372036854775807", 1<<63 - 1, "9223372036854775807B"},
	} {
		var b Bytes
		if err := b.UnmarshalText([]byte(c.text)); err != nil || b != c.want || b.String() != c.string {
			t.Errorf("%q = %d (%s), %v; want %d (%s)", c.text, b, b, err, c.want, c.string)
		}
	}
	for _, text := range []string{"", "B", "MiB", "-1", "-1KiB", "1e9", "0x10", "inf", "NaN", "1..5", ".", "1 2", "1KiBB", "1PiB",
		"9223372036854775808", "99999999999GiB", "9007199254740993.5GiB"} {
		var b Bytes
		if err := b.UnmarshalText([]byte(text)); err == nil {
			t.Errorf("%q = %d, want an error", text, b)
		}
	}
}

// FuzzBytes holds that whatever is accepted is not negative and survives being written and read again.
func FuzzBytes(f *testing.F) {
	for _, seed := range []string{"1MiB", "1.5 kb", "-3", "9223372036854775807B", ".5GiB"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		var b, again Bytes
		if b.UnmarshalText([]byte(text)) != nil {
			return
		}
		written, err := b.MarshalText()
		if err != nil || b < 0 {
			t.Fatalf("%q = %d, %v", text, b, err)
		}
		if err := again.UnmarshalText(written); err != nil || again != b {
			t.Fatalf("%q = %d, written %q, read again %d, %v", text, b, written, again, err)
		}
	})
}
