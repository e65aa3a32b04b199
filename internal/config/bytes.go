package config

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// Bytes is a size as people write it: "65536", "64KiB", "1MiB", "1.5 GiB" or, in thousands, "64kB", "1MB".
type Bytes int64

// units are the accepted suffixes, in lower case; those String uses come first, largest first.
var units = []struct {
	suffix string
	size   int64
}{
	{"gib", 1 << 30}, {"mib", 1 << 20}, {"kib", 1 << 10},
	{"tib", 1 << 40}, {"tb", 1e12}, {"gb", 1e9}, {"mb", 1e6}, {"kb", 1e3}, {"b", 1},
}

const binaryUnits = 3

// UnmarshalText reads a size. Upper and lower case are the same.
func (b *Bytes) UnmarshalText(text []byte) error {
	number, size := strings.ToLower(strings.TrimSpace(string(text))), int64(1)
	for _, u := range units {
		if rest, ok := strings.CutSuffix(number, u.suffix); ok {
			number, size = strings.TrimSpace(rest), u.size
			break
		}
	}
	if n, err := strconv.ParseInt(number, 10, 64); err == nil && n >= 0 && n <= math.MaxInt64/size {
		*b = Bytes(n * size)
		return nil
	}
	f, err := strconv.ParseFloat(number, 64)
	if err != nil || !plain(number) || f*float64(size) >= math.MaxInt64 {
		return fmt.Errorf("%q is not a size; write a number of bytes, or a number with KiB, MiB, GiB or TiB such as 1MiB", text)
	}
	*b = Bytes(f * float64(size))
	return nil
}

// plain reports whether s is written with digits and a point only; ParseFloat would take "1e9", "0x1p3" and "inf" as well.
func plain(s string) bool { return strings.Trim(s, "0123456789.") == "" }

// MarshalText is the inverse of UnmarshalText.
func (b Bytes) MarshalText() ([]byte, error) { return []byte(b.String()), nil }

// String is the size in the largest binary unit that says it without a fraction.
func (b Bytes) String() string {
	for i, name := range [binaryUnits]string{"GiB", "MiB", "KiB"} {
		if size := units[i].size; int64(b) >= size && int64(b)%size == 0 {
			return strconv.FormatInt(int64(b)/size, 10) + name
		}
	}
	return strconv.FormatInt(int64(b), 10) + "B"
}
