//go:build !unix

package loadgen

func (m *member) readAll() error { return m.readPortable() }
