// Package archtest holds the shape of the module as a test: which folder may import which, how large a file, a function, a
// struct and the root package may grow, and the habits that a reader relies on (documented names, leak checks, no sleeping in
// tests, a test for every numbered guarantee).
//
// The rules are one table in rules.go, the import arrows one table in arrows.go; each line carries its reason. Every rule is
// itself tested against small trees that break it, so none of them is a rule that cannot fail.
//
// When a budget is passed, split the code along its nouns. Raising the number is not a repair.
package archtest
