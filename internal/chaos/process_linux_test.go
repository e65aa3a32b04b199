package chaos

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// dieWithTest has a process end with the test, however that ends.
func dieWithTest() *syscall.SysProcAttr { return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} }

// disk is where one process keeps its data, and can be full.
type disk struct {
	dir   string
	kind  string // in words
	small bool   // it is a file system of its own
}

const diskSize = 384 << 20

// newDisk is a small file system, or a folder if none can be mounted here.
func newDisk(t *testing.T) *disk {
	t.Helper()
	d := &disk{dir: t.TempDir()}
	if err := unix.Mount("chaos", d.dir, "tmpfs", 0, fmt.Sprintf("size=%d", diskSize)); err != nil {
		d.kind = fmt.Sprintf("a limit on the size of files (no tmpfs can be mounted: %v)", err)
		return d
	}
	d.small, d.kind = true, fmt.Sprintf("a tmpfs of %d MiB that is filled up", diskSize>>20)
	t.Cleanup(func() {
		if err := unix.Unmount(d.dir, unix.MNT_DETACH); err != nil {
			t.Errorf("unmounting %s: %v", d.dir, err)
		}
	})
	return d
}

// fill leaves no room: from now on the process can write nothing more.
func (d *disk) fill(p *process) error {
	if !d.small {
		return d.limit(p, 1)
	}
	f, err := os.Create(filepath.Join(d.dir, "ballast"))
	if err != nil {
		return err
	}
	defer f.Close()
	for size := 1 << 20; size > 0; size /= 2 {
		for {
			if _, err := f.Write(make([]byte, size)); errors.Is(err, unix.ENOSPC) {
				break
			} else if err != nil {
				return err
			}
		}
	}
	return nil
}

// empty makes room again.
func (d *disk) empty(p *process) error {
	if !d.small {
		return d.limit(p, unix.RLIM_INFINITY)
	}
	if err := os.Remove(filepath.Join(d.dir, "ballast")); !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return nil
}

func (d *disk) limit(p *process, size uint64) error {
	if !p.running() {
		return nil // the next life has no limit
	}
	return unix.Prlimit(p.pid(), unix.RLIMIT_FSIZE, &unix.Rlimit{Cur: size, Max: unix.RLIM_INFINITY}, nil)
}
