package admission

import (
	"time"

	"golang.org/x/time/rate"
)

// Bucket says how fast somebody may do something. The zero value has no limit. It may be used from several goroutines.
type Bucket struct{ limiter *rate.Limiter }

// NewBucket returns a bucket for so many per second on average, and burst at once; perSecond 0 is no limit.
func NewBucket(perSecond, burst int) Bucket {
	if perSecond == 0 {
		return Bucket{}
	}
	return Bucket{rate.NewLimiter(rate.Limit(perSecond), burst)}
}

// Take takes n, or nothing and says how long to wait for them. What is more than the whole bucket is let through when it is full.
func (b Bucket) Take(n int, now time.Time) (wait time.Duration) {
	if b.limiter == nil {
		return 0
	}
	r := b.limiter.ReserveN(now, min(n, b.limiter.Burst()))
	if wait = r.DelayFrom(now); wait > 0 {
		r.CancelAt(now)
	}
	return wait
}
