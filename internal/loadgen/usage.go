package loadgen

import (
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"runtime"
	"strconv"
	"strings"
)

// usage is what processes have used of the machine.
type usage struct {
	user, system float64 // seconds of CPU time
	rss          int64   // bytes of resident memory
}

func (u usage) minus(v usage) usage {
	return usage{rounded(u.user-v.user, clockTicks), rounded(u.system-v.system, clockTicks), u.rss - v.rss}
}

// clockTicks is the unit of /proc/PID/stat, 100 a second on every system Go runs on.
const clockTicks = 100

// proc is where the system tells about processes.
func proc() fs.FS { return os.DirFS("/proc") }

// hasProc reports whether this system tells.
func hasProc() bool { return runtime.GOOS == "linux" }

// readUsage adds up what the processes use.
func readUsage(proc fs.FS, pids []int) (usage, error) {
	var sum usage
	for _, pid := range pids {
		u, err := readProcess(proc, strconv.Itoa(pid))
		if err != nil {
			return usage{}, fmt.Errorf("pid %d: %w", pid, err)
		}
		sum = usage{sum.user + u.user, sum.system + u.system, sum.rss + u.rss}
	}
	return sum, nil
}

func readProcess(proc fs.FS, pid string) (usage, error) {
	stat, err := fs.ReadFile(proc, pid+"/stat")
	if err != nil {
		return usage{}, fmt.Errorf("there is no such process")
	}
	_, after, _ := bytes.Cut(stat[max(0, bytes.LastIndexByte(stat, ')')):], []byte(") ")) // its name may have blanks and parentheses
	fields := strings.Fields(string(after))
	const user, system = 11, 12 // of those after the name
	if len(fields) <= system {
		return usage{}, fmt.Errorf("cannot read its stat")
	}
	utime, err1 := strconv.ParseFloat(fields[user], 64)
	stime, err2 := strconv.ParseFloat(fields[system], 64)
	if err1 != nil || err2 != nil {
		return usage{}, fmt.Errorf("cannot read its stat")
	}
	rss, err := readRSS(proc, pid)
	return usage{user: utime / clockTicks, system: stime / clockTicks, rss: rss}, err
}

func readRSS(proc fs.FS, pid string) (int64, error) {
	status, err := fs.ReadFile(proc, pid+"/status")
	if err != nil {
		return 0, fmt.Errorf("there is no such process")
	}
	for line := range strings.Lines(string(status)) {
		if value, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			kib, err := strconv.ParseInt(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(value), "kB")), 10, 64)
			return kib << 10, err
		}
	}
	return 0, fmt.Errorf("it has ended")
}
