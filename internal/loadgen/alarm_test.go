package loadgen

import (
	"testing"
	"time"
)

func TestAlarm(t *testing.T) {
	for name, start := range map[string]func() alarm{"system": newAlarm, "clock": newClockAlarm} {
		a := start()
		defer a.close()
		begin := time.Now()
		for range 3 {
			a.sleep(int64(2 * time.Millisecond))
		}
		if slept := time.Since(begin); slept < 6*time.Millisecond {
			t.Errorf("%s: three times 2 ms took %v", name, slept)
		}
		done := make(chan struct{})
		go func() {
			a.sleep(int64(time.Hour))
			a.sleep(int64(time.Hour))
			close(done)
		}()
		a.cancel()
		<-done
	}
}
