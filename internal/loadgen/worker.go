package loadgen

import (
	"sync"
	"sync/atomic"

	"github.com/HdrHistogram/hdrhistogram-go"
)

const readBuffer = 64 << 10

// The range of a histogram: three digits of anything up to an hour, in nanoseconds.
const (
	histLowest  = 1
	histHighest = 3600e9
	histDigits  = 3
)

// worker is what a goroutine needs while it has something to read or to send. Who has taken it from the pool has it alone; the
// atomic fields may be read by anybody.
type worker struct {
	buf      []byte
	latency  *hdrhistogram.Histogram // of deliveries, in nanoseconds
	lateness *hdrhistogram.Histogram // of sends behind their schedule; nil before the first

	delivered atomic.Uint64 // deliveries, each counted once, since the start
	last      atomic.Int64  // when the last one came
}

// pool has one worker for each goroutine that ever needed one at the same time as the others: in effect one for each processor.
type pool struct {
	mu   sync.Mutex
	free []*worker // the one used last is the next to be used
	all  []*worker
}

func (p *pool) get() *worker {
	p.mu.Lock()
	defer p.mu.Unlock()
	if n := len(p.free); n > 0 {
		w := p.free[n-1]
		p.free = p.free[:n-1]
		return w
	}
	w := &worker{buf: make([]byte, readBuffer), latency: newHistogram()}
	p.all = append(p.all, w)
	return w
}

func (p *pool) put(w *worker) {
	p.mu.Lock()
	p.free = append(p.free, w)
	p.mu.Unlock()
}

// delivered is how many deliveries there were so far, and when the last one was.
func (p *pool) delivered() (n uint64, last int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, w := range p.all {
		n += w.delivered.Load()
		last = max(last, w.last.Load())
	}
	return n, last
}

// histograms merges those of all workers; it is called when no worker is out.
func (p *pool) histograms() (latency, lateness *hdrhistogram.Histogram) {
	p.mu.Lock()
	defer p.mu.Unlock()
	latency, lateness = newHistogram(), newHistogram()
	for _, w := range p.all {
		latency.Merge(w.latency)
		if w.lateness != nil {
			lateness.Merge(w.lateness)
		}
	}
	return latency, lateness
}

func newHistogram() *hdrhistogram.Histogram {
	return hdrhistogram.New(histLowest, histHighest, histDigits)
}

// record counts a time; what is beyond the range counts as its end.
func record(h *hdrhistogram.Histogram, ns int64) {
	_ = h.RecordValue(min(max(ns, 0), histHighest)) // within the range: no error
}
