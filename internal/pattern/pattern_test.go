package pattern

import (
	"strings"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// fits lists, by pattern, names that it fits and names that it almost fits.
var fits = map[string]struct{ yes, no []string }{
	"news":     {[]string{"news"}, []string{"", "new", "newss", "News", "news/", "/news", "news "}},
	"*":        {[]string{"", "a", "chat", "*", "ä", "a b"}, []string{"/", "a/", "/a", "a/b"}},
	"**":       {[]string{"", "a", "/", "a/b", "//", "a/b/c", "**"}, nil},
	"***":      {[]string{"", "a/b"}, nil},
	"chat/*":   {[]string{"chat/a", "chat/", "chat/*", "chat/a b"}, []string{"chat", "chat/a/b", "Chat/a", "xchat/a", "chat/a/", "chat//", "chat\\/a"}},
	"chat/**":  {[]string{"chat/", "chat/a", "chat/a/b", "chat//"}, []string{"chat", "chatter/a", "Chat/a"}},
	"*/a":      {[]string{"/a", "x/a", "xy/a"}, []string{"a", "x/y/a", "x/a/", "x/b"}},
	"**/a":     {[]string{"/a", "x/a", "x/y/a"}, []string{"a", "xa", "x/a/b"}},
	"a*b*c":    {[]string{"abc", "axbxc", "abbcc", "abcbc"}, []string{"ab", "ac", "a/bc", "ab/c", "abcd"}},
	"a**b*c":   {[]string{"abc", "a/bc", "ab/bc", "a/b/bxc", "abb/bc"}, []string{"ab/c", "a/b/c", "a/bc/"}},
	"**b*/c":   {[]string{"b/c", "a/bx/c", "b/b/c", "b//b/c"}, []string{"b//c", "b/x/c", "/c"}},
	`\*`:       {[]string{"*"}, []string{"a", "", `\*`, "**"}},
	`\*\*`:     {[]string{"**"}, []string{"*", "ab"}},
	`*\**`:     {[]string{"*", "a*", "*b", "a*b"}, []string{"ab", ""}},
	`a\\b`:     {[]string{`a\b`}, []string{`a\\b`, "ab"}},
	`\a\/\?`:   {[]string{"a/?"}, []string{`\a\/\?`}},
	"[a-z]?+.": {[]string{"[a-z]?+."}, []string{"b", "b?+."}},
	"ä*":       {[]string{"ä", "äx"}, []string{"a", "a\u0308", "\xc3"}},
	"a\xff*":   {[]string{"a\xff", "a\xff\xfe"}, []string{"a\ufffd"}},
	"a\x00b":   {[]string{"a\x00b"}, []string{"a", "a\x00"}},
}

func TestMatch(t *testing.T) {
	for text, names := range fits {
		p, err := Compile(text)
		if err != nil {
			t.Errorf("%q: %v", text, err)
			continue
		}
		if p.String() != text {
			t.Errorf("%q is said to be %q", text, p)
		}
		for _, name := range names.yes {
			if !p.Match(name) || !model(text, name) {
				t.Errorf("%q does not fit %q (by the model: %v)", text, name, model(text, name))
			}
		}
		for _, name := range names.no {
			if p.Match(name) || model(text, name) {
				t.Errorf("%q fits %q (by the model: %v)", text, name, model(text, name))
			}
		}
	}
	if (Pattern{}).Match("a") {
		t.Error("the zero Pattern fits a name")
	}
}

func TestCompileErrors(t *testing.T) {
	for text, want := range map[string]string{
		"":                                   "write ** for all rooms",
		`chat\`:                              `pattern "chat\\": nothing follows`,
		"\n" + strings.Repeat(`*`, MaxBytes): `pattern "\n***`,
	} {
		if _, err := Compile(text); err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%.20q: error %v, want one with %q", text, err, want)
		}
	}
	if _, err := Compile(strings.Repeat("ä", MaxBytes/2)); err != nil {
		t.Errorf("a pattern of %d bytes: %v", MaxBytes, err)
	}
}

// TestManyStars holds that patterns on which a matcher that goes back grows exponentially end at all, at every length of the set of
// places: this test would not come to its end.
func TestManyStars(t *testing.T) {
	name := strings.Repeat("a", 4_000)
	for _, n := range []int{31, 32, 33, 63, 64, MaxBytes/3 - 1} {
		for _, stars := range []string{"*", "**"} {
			text := strings.Repeat(stars+"a", n)
			p, err := Compile(text)
			if err != nil {
				t.Fatal(err)
			}
			if q, err := Compile(text + "b"); err != nil || q.Match(name) || !q.Match(name+"b") {
				t.Errorf("%d times %sa and b: %v, or a wrong answer", n, stars, err)
			}
			if !p.Match(name) || p.Match(name[:n-1]) || !p.Match(name[:n]) {
				t.Errorf("%d times %sa: a wrong answer", n, stars)
			}
		}
	}
}

// model is what a pattern means, in as few words as possible; it takes for ever where there are many stars.
func model(pattern, name string) bool {
	switch {
	case pattern == "":
		return name == ""
	case strings.HasPrefix(pattern, "**"):
		return model(strings.TrimLeft(pattern, "*"), name) || name != "" && model("**"+strings.TrimLeft(pattern, "*"), name[1:])
	case pattern[0] == '*':
		return model(pattern[1:], name) || name != "" && name[0] != '/' && model(pattern, name[1:])
	case pattern[0] == '\\':
		pattern = pattern[1:]
	}
	return name != "" && pattern[0] == name[0] && model(pattern[1:], name[1:])
}

// FuzzMatch holds the matcher to the model.
func FuzzMatch(f *testing.F) {
	for text, names := range fits {
		for _, name := range append(names.yes, names.no...) {
			f.Add(text, name)
		}
	}
	f.Fuzz(func(t *testing.T, text, name string) {
		p, err := Compile(text)
		if err != nil || len(name) > 24 || strings.Count(text, "*") > 6 {
			return // the model would take for ever
		}
		if got, want := p.Match(name), model(text, name); got != want {
			t.Fatalf("%q fits %q: %v, by the model %v", text, name, got, want)
		}
	})
}

func BenchmarkMatch(b *testing.B) {
	p, err := Compile("chat/*")
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if !p.Match("chat/kitchen-and-cellar") {
			b.Fatal("no match")
		}
	}
}
