package main

import (
	"bytes"
	"fmt"
	"net/http"
	"runtime"
	"slices"
	"strconv"

	"golang.org/x/sys/unix"

	"github.com/roomcast/roomcast"
)

// call is the caller in Go: what c/caller.c does, without the boundary. Its server is behind an http.Server of its own, as there.
func call(port, members, rounds, calls int) error {
	heard := make(chan struct{}, members) // never closed
	var rooms *roomcast.Server
	rooms = roomcast.New(roomcast.Handler{
		Connect: func(c *roomcast.Conn, _ *http.Request) error {
			defer func() { heard <- struct{}{} }()
			return c.Join("full")
		},
		Message: func(*roomcast.Conn, roomcast.Message) { heard <- struct{}{} },
	}, roomcast.Options{})
	failed := make(chan error, 1) // never closed
	go func() { failed <- http.ListenAndServe("127.0.0.1:"+strconv.Itoa(port), rooms) }()
	fmt.Println("ready")
	await := func(n int) error {
		for range n {
			select {
			case <-heard:
			case err := <-failed:
				return err
			}
		}
		return nil
	}
	if err := await(members); err != nil {
		return err
	}
	runtime.LockOSThread() // its CPU time is what is measured
	measure := func(name string, members, calls int) error {
		m := roomcast.Message{Data: bytes.Repeat([]byte("x"), 128)}
		var ns []float64
		for range rounds {
			from := threadTime()
			for range calls {
				if failed, err := rooms.Broadcast(name, m); failed != 0 || err != nil {
					return fmt.Errorf("a broadcast failed for %d members: %w", failed, err)
				}
			}
			ns = append(ns, float64(threadTime()-from)/float64(calls))
			if members > 0 {
				_, _ = rooms.Broadcast(name, roomcast.Text("m")) // it is UTF-8
			}
			if err := await(members); err != nil {
				return err
			}
		}
		slices.Sort(ns)
		fmt.Printf("%s %.1f\n", name, ns[len(ns)/2])
		return nil
	}
	if err := measure("empty", 0, 1000*calls); err != nil {
		return err
	}
	return measure("full", members, calls)
}

// threadTime returns the CPU time of this thread in nanoseconds.
func threadTime() int64 {
	var t unix.Timespec
	_ = unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &t) // every Linux has this clock
	return t.Nano()
}
