// Package bridge is what the C functions do, without C: handles instead of pointers, one roomcast.Server for all ports of the
// process, and callbacks for each port. The exports above it only translate.
package bridge
