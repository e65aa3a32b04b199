package main

// #include "callbacks.h"
import "C"

import (
	"unsafe"

	"github.com/roomcast/roomcast/capi/internal/bridge"
)

// function is a C function and its first argument, each of which may be null. They are numbers here: an env need not be an address,
// and Go must not take it for one.
type function struct{ address, env C.uintptr_t }

// callbacks is bridge.Callbacks in C.
type callbacks struct{ connect, message, close function }

// Connect is bridge.Callbacks.
func (c *callbacks) Connect(conn bridge.Handle, path string, headers bridge.Handle) (accept bool) {
	f := c.connect
	if f.address == 0 {
		return true
	}
	return returned(C.roomcast_on_connect(f.address, f.env, C.uintptr_t(conn),
		(*C.char)(unsafe.Pointer(unsafe.StringData(path))), C.size_t(len(path)), C.uintptr_t(headers)))
}

// Message is bridge.Callbacks.
func (c *callbacks) Message(conn bridge.Handle, data []byte) {
	f := c.message
	if f.address == 0 {
		return
	}
	returned(C.roomcast_on_message(f.address, f.env, C.uintptr_t(conn),
		(*C.uint8_t)(unsafe.SliceData(data)), C.size_t(len(data))))
}

// Close is bridge.Callbacks.
func (c *callbacks) Close(conn bridge.Handle, code int, reason string) {
	f := c.close
	if f.address == 0 {
		return
	}
	returned(C.roomcast_on_close(f.address, f.env, C.uintptr_t(conn), C.int64_t(code),
		(*C.char)(unsafe.Pointer(unsafe.StringData(reason))), C.size_t(len(reason))))
}

// returned reports whether a callback did not say no. A callback that could not be called ends its connection with 1011, as a panic
// does.
func returned(outcome C.int) bool {
	if outcome == C.ROOMCAST_NO_MEMORY {
		panic("no memory for the string of a callback")
	}
	return outcome == C.ROOMCAST_YES
}
