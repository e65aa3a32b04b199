//go:build unix && !linux

package chaos

import (
	"syscall"
	"testing"
)

// dieWithTest has a process end with the test where the system can do that.
func dieWithTest() *syscall.SysProcAttr { return nil }

// disk is where one process keeps its data. Here it is never full.
type disk struct {
	dir   string
	kind  string // in words
	small bool
}

func newDisk(t *testing.T) *disk {
	t.Helper()
	return &disk{dir: t.TempDir(), kind: "never full (only Linux can be made to)"}
}

func (d *disk) fill(*process) error  { return nil }
func (d *disk) empty(*process) error { return nil }
