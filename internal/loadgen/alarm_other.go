//go:build !linux

package loadgen

// newAlarm is the system's best alarm.
func newAlarm() alarm { return newClockAlarm() }
