//go:build unix

package loadgen

import (
	"fmt"
	"syscall"
)

// spareFiles is for what is open besides the connections.
const spareFiles = 32

// checkLimit reports that the process may not open as many descriptors as the run needs. The Go runtime has already raised the
// soft limit as far as it goes.
func checkLimit(c *Config) error {
	var limit syscall.Rlimit
	if syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit) != nil {
		return nil // the connections themselves will tell
	}
	return compareLimit(c, uint64(limit.Cur))
}

func compareLimit(c *Config, limit uint64) error {
	need, each := uint64(c.Conns)+spareFiles, uint64(1)
	if c.OwnServer {
		need, each = 2*uint64(c.Conns)+spareFiles, 2
	}
	if need <= limit {
		return nil
	}
	most := (max(limit, spareFiles) - spareFiles) / each
	return invalid("conns", c.Conns, fmt.Sprintf("this needs %d descriptors and the limit is %d; raise it with `ulimit -n %d`, or set %d or less",
		need, limit, need, most))
}
