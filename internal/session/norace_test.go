//go:build !race

// norace_test.go: whether the race detector is on.

package session

const raceEnabled = false
