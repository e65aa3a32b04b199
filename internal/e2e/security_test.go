package e2e

import (
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// TestSecurityDocument holds that the table of attacks names every test of one, no other, and no flag that the server does not have.
func TestSecurityDocument(t *testing.T) {
	document := read(t, filepath.Join("..", "..", "docs", "security.md"))
	rows := strings.Join(regexp.MustCompile(`(?m)^\|.*\|$`).FindAllString(document, -1), "\n")
	var tests []string
	files, err := filepath.Glob("attack_*_test.go")
	if err != nil || len(files) == 0 {
		t.Fatalf("no tests of attacks: %v", err)
	}
	for _, file := range files {
		for _, m := range regexp.MustCompile(`(?m)^func (TestAttack\w+)`).FindAllStringSubmatch(read(t, file), -1) {
			tests = append(tests, m[1])
		}
	}
	named := regexp.MustCompile(`TestAttack\w+`).FindAllString(rows, -1)
	slices.Sort(tests)
	slices.Sort(named)
	if named = slices.Compact(named); !slices.Equal(named, tests) {
		t.Errorf("docs/security.md names %v, the tests are %v", named, tests)
	}
	help := serveHelp(t)
	flags := regexp.MustCompile("`(--[a-z-]+)`").FindAllStringSubmatch(rows, -1)
	if len(flags) == 0 {
		t.Error("docs/security.md names no flags")
	}
	for _, m := range flags {
		if !regexp.MustCompile(m[1] + `\b[^-]`).MatchString(help) {
			t.Errorf("docs/security.md names %s, which serve does not have", m[1])
		}
	}
}
