// Package chaos is the fault suite. It builds the binary and a NATS server, runs three of each, connected by links that it can cut
// (package proxy), and clients (package client) that write down what they send and see; a nemesis kills, pauses and cuts off; and when
// everything has been healed, what the clients saw is judged (package history).
//
// # What is done to the cluster
//
// A seed makes a plan of faults, and the plan is printed. Server nodes and NATS nodes are killed (SIGKILL) and started again, or paused (SIGSTOP) and
// continued; server nodes are also stopped as an upgrade does it (SIGTERM). Links are reset, cut, frozen, or opened in one direction only: those between a
// server and NATS, and the routes between NATS nodes. The disk of one NATS node is filled up; it is a small tmpfs, and where that cannot be
// mounted, a limit on the size of files (the run says which). Up to two faults are there at a time. Meanwhile some clients lose their network,
// noticed by the server or not, some read too slowly, some stay away for longer than their session lives, some die.
//
// # What is required
//
// What package history requires of each room, and besides, that publishes with an idempotency key are acknowledged, all clients are back in their
// rooms, and all nodes know exactly who is there, in bounded time after the last fault: the lease and the time of a session and a margin.
//
// A gap is what a reader knows that it missed: it was told recovered false, or by the notice gap how many. Whoever asked to go on from a position
// and was told recovered true, and whoever was told nothing, misses nothing. One of the rooms keeps so few messages that readers who stay away
// for some seconds have a gap, and must be told so.
//
// # Running it
//
// `go test ./internal/chaos` is the short form, `make chaos` the long one, of less than ten minutes.
//
//	CHAOS_TIME=4m    how long there are faults; it makes the long form of all tests
//	CHAOS_SEED=17    the seed of the plan; what the processes make of it is not repeated, only what is done to them
//	CHAOS_LOGS=dir   where the logs of all processes stay, and what the NATS nodes stored, but for that with the small disk
//	CHAOS_RACE=1     server nodes with the race detector
//	CHAOS_BIN=path   another binary than the one of this tree, such as a release
//
// A seed that failed becomes a line of the table in seeds_test.go, with what was wrong.
package chaos
