package auth

import (
	"encoding/json"
	"os"
	"regexp"
	"strings"
	"testing"
)

// TestDocument holds docs/auth.md to the package: its token can be read, and its tables name what there is.
func TestDocument(t *testing.T) {
	text, err := os.ReadFile("../../../docs/auth.md")
	if err != nil {
		t.Fatal(err)
	}
	blocks := regexp.MustCompile("(?s)```json\n(.*?)```").FindAllStringSubmatch(string(text), -1)
	if len(blocks) != 1 {
		t.Fatalf("%d tokens, want 1", len(blocks))
	}
	var c claims
	if err := json.Unmarshal([]byte(blocks[0][1]), &c); err != nil {
		t.Fatal(err)
	}
	g := Grant{rules: c.rules}
	if c.user != "ann" || c.id == "" || c.issued == nil || !c.expires.After(c.issued.Time) || !g.Allows(Send, "chat/a") || g.Allows(Send, "news") || !g.Allows(Presence, "x/y") {
		t.Errorf("claims %+v", c)
	}
	for _, name := range actionNames {
		if !strings.Contains(string(text), "\n| `"+name+"` | ") {
			t.Errorf("the action %s is in no table", name)
		}
	}
	for _, alg := range allAlgs {
		if short := strings.TrimLeft(alg, "RPS"); !strings.Contains(string(text), alg) && !strings.Contains(string(text), "/"+short) {
			t.Errorf("the algorithm %s is not mentioned", alg)
		}
	}
}
