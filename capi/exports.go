package main

// #include <stdint.h>
// #include <stdlib.h>
// #include "callbacks.h"
import "C"

import (
	"fmt"
	"math"
	"os"
	"sync"
	"time"
	"unsafe"

	"github.com/roomcast/roomcast"
	"github.com/roomcast/roomcast/capi/internal/bridge"
)

// library returns the one bridge of the process, which the first call makes. The error says what is wrong with the environment: then
// nothing is served.
var library = sync.OnceValues(func() (*bridge.Bridge, error) {
	b, err := bridge.New(bridge.ReadSettings(getenv), os.Stderr)
	if err != nil {
		b, _ = bridge.New(bridge.Settings{}, os.Stderr) // the defaults are fine
	}
	return b, err
})

// getenv asks C: os.Getenv does not see what the program has set since it started.
func getenv(name string) string {
	c := C.CString(name)
	defer C.free(unsafe.Pointer(c))
	return C.GoString(C.getenv(c))
}

func rooms() *bridge.Bridge {
	b, _ := library()
	return b
}

// borrow returns C's bytes without copying them, for use until the call returns.
func borrow(data *C.uint8_t, size C.uint64_t) []byte {
	return unsafe.Slice((*byte)(data), int(size)) // at most math.MaxInt32: snow_ws.c has seen to it
}

// text returns a copy of C's bytes.
func text(data *C.uint8_t, size C.uint64_t) string { return string(borrow(data, size)) }

func message(data *C.uint8_t, size C.uint64_t, binary C.int) roomcast.Message {
	return roomcast.Message{Data: borrow(data, size), Binary: binary != 0}
}

// status is what C is told of an error.
func status(err error) C.int64_t {
	if err != nil {
		return -1
	}
	return 0
}

//export roomcastJoin
func roomcastJoin(conn C.uintptr_t, room *C.uint8_t, size C.uint64_t) C.int64_t {
	return status(rooms().Join(bridge.Handle(conn), text(room, size)))
}

//export roomcastLeave
func roomcastLeave(conn C.uintptr_t, room *C.uint8_t, size C.uint64_t) C.int64_t {
	return status(rooms().Leave(bridge.Handle(conn), text(room, size)))
}

//export roomcastRoomSize
func roomcastRoomSize(room *C.uint8_t, size C.uint64_t) C.int64_t {
	return C.int64_t(rooms().RoomSize(text(room, size)))
}

//export roomcastBroadcast
func roomcastBroadcast(room *C.uint8_t, roomSize C.uint64_t, data *C.uint8_t, size C.uint64_t, binary C.int, except C.uintptr_t) C.int64_t {
	failed, err := rooms().Broadcast(text(room, roomSize), message(data, size, binary), bridge.Handle(except))
	if err != nil {
		return -1
	}
	return C.int64_t(failed)
}

//export roomcastSend
func roomcastSend(conn C.uintptr_t, data *C.uint8_t, size C.uint64_t, binary C.int) C.int64_t {
	return status(rooms().Send(bridge.Handle(conn), message(data, size, binary)))
}

//export roomcastClose
func roomcastClose(conn C.uintptr_t, code C.int64_t, reason *C.uint8_t, size C.uint64_t) C.int64_t {
	return status(rooms().Close(bridge.Handle(conn), int64(code), text(reason, size)))
}

//export roomcastHeader
func roomcastHeader(headers C.uintptr_t, name *C.uint8_t, size C.uint64_t) (s *C.SnowString) {
	rooms().Header(bridge.Handle(headers), text(name, size), func(value string) (release func()) {
		s = C.roomcast_string(unsafe.Pointer(unsafe.StringData(value)), C.size_t(len(value)))
		kept := s
		return func() { C.free(unsafe.Pointer(kept)) }
	})
	return s
}

//export roomcastServe
func roomcastServe(connect, connectEnv, message, messageEnv, close, closeEnv C.uintptr_t, port C.int64_t) {
	serve(func(b *bridge.Bridge) error {
		return b.Serve(int64(port), &callbacks{function{connect, connectEnv}, function{message, messageEnv}, function{close, closeEnv}})
	})
}

//export roomcastServeTLS
func roomcastServeTLS(connect, connectEnv, message, messageEnv, close, closeEnv C.uintptr_t, port C.int64_t,
	cert *C.uint8_t, certSize C.uint64_t, key *C.uint8_t, keySize C.uint64_t) {
	serve(func(b *bridge.Bridge) error {
		return b.ServeTLS(int64(port), &callbacks{function{connect, connectEnv}, function{message, messageEnv}, function{close, closeEnv}},
			text(cert, certSize), text(key, keySize))
	})
}

// serve says in one line what went wrong, if anything did.
func serve(start func(*bridge.Bridge) error) {
	b, err := library()
	if err == nil {
		err = start(b)
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "roomcast: nothing is served: %v\n", err)
	}
}

//export roomcastStop
func roomcastStop(port, timeout C.int64_t) C.int64_t {
	const most = math.MaxInt64 / int64(time.Millisecond)
	left, err := rooms().Stop(int64(port), time.Duration(min(int64(timeout), most))*time.Millisecond)
	if err != nil {
		return -1
	}
	return C.int64_t(left)
}
