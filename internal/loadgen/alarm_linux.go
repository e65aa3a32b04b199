package loadgen

import (
	"os"
	"syscall"
	"time"
	"unsafe"
)

// fileAlarm is a timerfd: Go's poller wakes its reader within some ten microseconds, where a timer of Go's own may be a millisecond
// late, since the poller sleeps in whole milliseconds. Latency counts from the time a message was due, so that matters.
type fileAlarm struct {
	fd   uintptr
	file *os.File
}

const (
	clockMonotonic = 1
	timerFlags     = syscall.O_NONBLOCK | syscall.O_CLOEXEC
)

// newAlarm falls back to Go's timers where there is no timerfd.
func newAlarm() alarm {
	fd, _, errno := syscall.Syscall(syscall.SYS_TIMERFD_CREATE, clockMonotonic, timerFlags, 0)
	if errno != 0 {
		return newClockAlarm()
	}
	return &fileAlarm{fd: fd, file: os.NewFile(fd, "timerfd")}
}

func (a *fileAlarm) sleep(ns int64) {
	spec := [2]syscall.Timespec{1: syscall.NsecToTimespec(ns)} // no interval, then the time of the only event
	_, _, errno := syscall.Syscall6(syscall.SYS_TIMERFD_SETTIME, a.fd, 0, uintptr(unsafe.Pointer(&spec)), 0, 0, 0)
	if errno != 0 {
		time.Sleep(time.Duration(ns))
		return
	}
	var events [8]byte
	_, _ = a.file.Read(events[:]) // cancelled, or it is time
}

func (a *fileAlarm) cancel() { _ = a.file.SetReadDeadline(time.Unix(1, 0)) }

func (a *fileAlarm) close() { a.file.Close() }
