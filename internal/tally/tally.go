// Package tally counts values by their size, from any number of goroutines.
package tally

import (
	"slices"
	"sync/atomic"
)

// Histogram is what has been counted.
type Histogram struct {
	Bounds []float64 // in ascending order; not to be changed
	Counts []uint64  // by bound: values up to it and above the one before. The last count has those above all bounds
	Sum    float64   // of all values
}

// Counter counts values. New makes one.
type Counter struct {
	bounds []float64
	unit   float64 // of the sum, which counts in whole units
	counts []atomic.Uint64
	sum    atomic.Uint64
}

// New returns a counter with these bounds, in ascending order. The sum counts in whole units, such as 1e-9 for seconds.
func New(unit float64, bounds ...float64) *Counter {
	return &Counter{bounds: bounds, unit: unit, counts: make([]atomic.Uint64, len(bounds)+1)}
}

// Count counts a value of so many units.
func (c *Counter) Count(units uint64) {
	i, _ := slices.BinarySearch(c.bounds, float64(units)*c.unit)
	c.counts[i].Add(1)
	c.sum.Add(units)
}

// Histogram returns what has been counted.
func (c *Counter) Histogram() Histogram {
	h := Histogram{Bounds: c.bounds, Counts: make([]uint64, len(c.counts)), Sum: float64(c.sum.Load()) * c.unit}
	for i := range c.counts {
		h.Counts[i] = c.counts[i].Load()
	}
	return h
}
