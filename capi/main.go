// Package main is the C library: libroomcast with the functions of snow_ws.h. What they do is in internal/bridge; here it only crosses
// from one language to the other.
//
//	C program → snow_ws.c (checks, handles as numbers) → exports.go → internal/bridge → roomcast
//	roomcast → internal/bridge → callbacks.go → callbacks.c (strings from malloc) → C program
//
// build.sh makes the library from it. Without cgo there is nothing here to be built.
package main

import "C"

func main() {} // a library has none, the go command wants one
