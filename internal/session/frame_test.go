// frame_test.go: the bytes a server sends, compared with RFC 6455 and read back by a Reader.

package session

import (
	"bytes"
	"encoding/hex"
	"strings"
	"testing"
)

func TestAppendBytes(t *testing.T) {
	long := func(n int) []byte { return bytes.Repeat([]byte("x"), n) }
	for _, c := range []struct {
		name string
		got  []byte
		want string // the frame begins so
		size int
	}{
		{"§5.7 Hello", AppendMessage(nil, false, []byte("Hello")), "810548656c6c6f", 7},
		{"§5.7 ping", AppendPing(nil, []byte("Hello")), "890548656c6c6f", 7},
		{"§5.7 pong", AppendPong(nil, []byte("Hello")), "8a0548656c6c6f", 7},
		{"§5.6 binary", AppendMessage(nil, true, []byte{1}), "820101", 3},
		{"§5.2 0", AppendMessage(nil, false, nil), "8100", 2},
		{"§5.2 125", AppendMessage(nil, true, long(125)), "827d78", 127},
		{"§5.2 126", AppendMessage(nil, true, long(126)), "827e007e78", 130},
		{"§5.2 65535", AppendMessage(nil, true, long(65535)), "827effff78", 65539},
		{"§5.2 65536", AppendMessage(nil, true, long(65536)), "827f000000000001000078", 65546},
		{"§5.7 256", AppendMessage(nil, true, long(256)), "827e010078", 260},
		{"§5.5 ping is cut", AppendPing(nil, long(126)), "897d78", 127},
		{"§5.5 pong is cut", AppendPong(nil, long(126)), "8a7d78", 127},
		{"dst is kept", AppendPong([]byte{1, 2}, nil), "01028a00", 4},
		{"§5.5.1 close", AppendClose(nil, 1000, "ok"), "880403e86f6b", 6},
		{"§7.4 1005", AppendClose(nil, 1005, "x"), "8800", 2},
		{"§7.4 1006", AppendClose(nil, 1006, "x"), "8800", 2},
		{"§7.4 beyond 16 bits", AppendClose(nil, 65536+1000, "x"), "8800", 2},
		{"§5.5.1 reason not UTF-8", AppendClose(nil, 1000, "a\xff"), "880603e861efbfbd", 8},
	} {
		if got := hex.EncodeToString(c.got); !strings.HasPrefix(got, c.want) || len(c.got) != c.size {
			t.Errorf("%s: %.40s… of %d bytes, want %s… of %d", c.name, got, len(c.got), c.want, c.size)
		}
	}
}

func TestAppendCloseCutsAtRunes(t *testing.T) {
	for _, c := range []struct{ reason, want string }{
		{strings.Repeat("x", 123), strings.Repeat("x", 123)},
		{strings.Repeat("x", 124), strings.Repeat("x", 123)},
		{strings.Repeat("é", 62), strings.Repeat("é", 61)},
		{strings.Repeat("x", 121) + "€", strings.Repeat("x", 121)},
		{strings.Repeat("x", 120) + "€", strings.Repeat("x", 120) + "€"},
		{strings.Repeat("x", 122) + "😀", strings.Repeat("x", 122)},
		{strings.Repeat("\xff", 200), strings.Repeat("\ufffd", 1)}, // a run of bad bytes is one replacement
	} {
		got := feed(t, 0, asClient(t, AppendClose(nil, 1000, c.reason)))
		same(t, "close", got, outcome{events: []event{closed(1000, c.want)}})
	}
}

func TestAppendMessageReadsBack(t *testing.T) {
	var all []byte
	var want []event
	for _, n := range []int{0, 1, 125, 126, 65535, 65536} {
		s := strings.Repeat("é", n/2)
		all = AppendMessage(all, false, []byte(s))
		all = AppendMessage(all, true, []byte(s))
		all = AppendPing(all, []byte("p"))
		want = append(want, text(s), bin(s), ping("p"))
	}
	same(t, "read back", feed(t, testLimit, asClient(t, all)), outcome{events: want})
}
