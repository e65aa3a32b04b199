package memengine

import (
	"testing"

	"go.uber.org/goleak"

	"github.com/roomcast/roomcast"
	"github.com/roomcast/roomcast/roomcasttest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var _ roomcast.Engine = (*Engine)(nil)

// nodes returns a cluster that is closed at the end of the test.
func nodes(t *testing.T, o Options, n int) []*Engine {
	engines := NewCluster(o, n)
	t.Cleanup(func() {
		for _, e := range engines {
			e.Close()
		}
	})
	return engines
}

func TestSuite(t *testing.T) {
	roomcasttest.EngineSuite(t, func(t *testing.T, n int) []roomcast.Engine {
		var engines []roomcast.Engine
		for _, e := range nodes(t, Options{History: roomcasttest.SuiteRetention()}, n) {
			engines = append(engines, e)
		}
		return engines
	})
}
