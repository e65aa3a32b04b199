//go:build !race

package roomcast

const raceEnabled = false
