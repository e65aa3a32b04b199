//go:build unix

package chaos

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
)

var binDir string // of the built binaries; removed when all tests have run

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "roomcast-chaos-")
	if err != nil {
		fmt.Fprintln(os.Stderr, "chaos:", err)
		os.Exit(1)
	}
	binDir = dir
	goleak.VerifyTestMain(m, goleak.Cleanup(func(code int) {
		_ = os.RemoveAll(binDir) // it is in the temporary folder: nobody is hurt if it stays
		os.Exit(code)
	}))
}

// binaries builds both, once for all tests, and returns their paths.
var binaries = sync.OnceValues(func() (b struct{ roomcast, nats string }, err error) {
	b.roomcast, b.nats = filepath.Join(binDir, "roomcast"), filepath.Join(binDir, "nats-server")
	args := []string{"build", "-o", b.roomcast, "../../cmd/roomcast"}
	if os.Getenv("CHAOS_RACE") != "" {
		args = slices.Insert(args, 1, "-race")
	}
	builds := [][]string{args, {"build", "-o", b.nats, "github.com/nats-io/nats-server/v2"}}
	if bin := os.Getenv("CHAOS_BIN"); bin != "" {
		b.roomcast, builds = bin, builds[1:]
	}
	for _, args := range builds {
		if out, err := exec.Command("go", args...).CombinedOutput(); err != nil {
			return b, fmt.Errorf("go %v: %w\n%s", args, err, out)
		}
	}
	return b, nil
})

// form is how long a run is and with which seed.
type form struct {
	time time.Duration // with faults
	long bool
	seed uint64
}

// ttl is how long sessions last.
func (f form) ttl() time.Duration {
	if f.long {
		return 10 * time.Second
	}
	return 5 * time.Second
}

// begin skips the test where there is no time for it. Several of the short form run at the same time.
func (f form) begin(t *testing.T) {
	t.Helper()
	if testing.Short() {
		t.Skip("skipped: -short")
	}
	if !f.long {
		t.Parallel()
	}
}

// formOf reads the form from the environment; short is how long it is otherwise.
func formOf(t *testing.T, short time.Duration) form {
	t.Helper()
	f := form{time: short, seed: uint64(time.Now().UnixNano() % 1_000_000)}
	if text := os.Getenv("CHAOS_TIME"); text != "" {
		d, err := time.ParseDuration(text)
		if err != nil {
			t.Fatalf("CHAOS_TIME=%q is no duration: %v; write 8m or 90s", text, err)
		}
		f.time, f.long = d, true
	}
	if text := os.Getenv("CHAOS_SEED"); text != "" {
		n, err := strconv.ParseUint(text, 10, 64)
		if err != nil {
			t.Fatalf("CHAOS_SEED=%q is no number: %v", text, err)
		}
		f.seed = n
	}
	return f
}
