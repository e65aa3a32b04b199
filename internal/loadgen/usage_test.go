package loadgen

import (
	"os"
	"strings"
	"testing"
	"testing/fstest"
)

func TestUsage(t *testing.T) {
	const stat = ") S 1 7 7 0 -1 4194560 900 0 0 0 1234 567 0 0 20 0 9 0 100 1000000 500"
	fsys := fstest.MapFS{
		"7/stat":    {Data: []byte("7 (roomcast" + stat)},
		"7/status":  {Data: []byte("Name:\troomcast\nVmHWM:\t   99999 kB\nVmRSS:\t   2048 kB\n")},
		"8/stat":    {Data: []byte("8 (a) b ( c)" + stat)},
		"8/status":  {Data: []byte("VmRSS:\t1 kB\n")},
		"9/stat":    {Data: []byte("9 (gone) Z 1")},
		"10/stat":   {Data: []byte("10 (gone" + stat)},
		"10/status": {Data: []byte("Name:\tgone\n")},
	}
	got, err := readUsage(fsys, []int{7, 8})
	if want := (usage{24.68, 11.34, 2049 << 10}); err != nil || got != want {
		t.Errorf("usage %+v, %v; want %+v", got, err, want)
	}
	for pid, want := range map[int]string{9: "pid 9: cannot read", 10: "pid 10: it has ended", 11: "pid 11: there is no such process"} {
		if _, err := readUsage(fsys, []int{7, pid}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want %q", err, want)
		}
	}
	if !hasProc() {
		return
	}
	if own, err := readUsage(proc(), []int{os.Getpid()}); err != nil || own.rss < 1<<20 {
		t.Errorf("own usage %+v, %v", own, err)
	}
}
