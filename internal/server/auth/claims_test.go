package auth

import (
	"fmt"
	"strings"
	"testing"
)

// body are claims as they are written: good ones, and these.
func body(more string) string { return fmt.Sprintf(`{"sub":"ann","exp":%d,%s}`, in(3600e9), more) }

// TestOddClaims holds that each claim is what it should be, or the token is refused with its name.
func TestOddClaims(t *testing.T) {
	a, exp := ours(t), in(3600e9)
	for claims, want := range map[string]string{
		``: "no JWT", `x`: "no JWT", `null`: "missing", `1`: "no object", `"sub"`: "no object", `[]`: "no object", `{}`: "sub",
		good(nil) + "x":                                    "no JWT",
		good(map[string]any{"sub": nil}):                   "sub",
		good(map[string]any{"exp": nil}):                   "missing",
		fmt.Sprintf(`{"exp":%d}`, exp):                     "the claim sub",
		`{"sub":"ann"}`:                                    "exp",
		fmt.Sprintf(`{"SUB":"x","Sub":"x","exp":%d}`, exp): "the claim sub",
		`{"sub":"ann","EXP":9999999999}`:                   "exp",
		body(`"sub":"eve"`):                                `"sub" is in it twice`,
		body(`"exp":9999999999`):                           `"exp" is in it twice`,
		body(`"\u0073ub":"eve"`):                           `"sub" is in it twice`,
		body(`"x":1,"x":1`):                                `"x" is in it twice`,
		body(`"iat":"1"`):                                  "iat",
		body(`"iat":-1`):                                   "iat",
		body(`"nbf":null`):                                 "nbf",
		body(`"nbf":true`):                                 "nbf",
		body(`"iss":null`):                                 "iss",
		body("\"x\":\"\xff\""):                             "UTF-8",
		body("\"rooms\":{\"a\xff\":[\"join\"]}"):           "UTF-8",
		body(`"jti":null`):                                 "jti",
		body(`"iss":1`):                                    "iss",
		body(`"aud":1`):                                    "aud",
		body(`"aud":[1]`):                                  "aud",
		body(`"aud":{"x":1}`):                              "aud",
		body(`"jti":1`):                                    "jti",
		body(`"jti":""`):                                   "jti",
		body(`"jti":"a\nb"`):                               "jti",
		body(`"x":` + strings.Repeat("[", 8000)):           "no JWT",
		body(many(200, `"x%d":1`)):                         "more than 100 members",
	} {
		refused(t, a, hs(t, claims), ErrTokenInvalid, want)
	}
	for _, exp := range []string{`"9999999999"`, `"2099-01-01"`, `-1`, `-0.5`, `1e300`, `1e400`, `-1e400`, `253402300800`, `9223372036854775808`,
		`18446744073709551617`, `null`, `true`, `[]`, `[9999999999]`, `{}`} {
		refused(t, a, hs(t, `{"sub":"ann","exp":`+exp+`}`), ErrTokenInvalid, "the claim exp: it is no number of seconds")
	}
	accepted(t, a, hs(t, fmt.Sprintf(`{"sub":"ann","exp":%d.75}`, exp)))
	accepted(t, a, hs(t, fmt.Sprintf(" { \"sub\" : \"ann\" ,\n\"exp\" : %de0 , \"rooms\" : { } } ", exp)))
}

// TestBombs holds that claims nested as deep as a token can be long do no harm.
func TestBombs(t *testing.T) {
	const depth = 5000
	for _, bomb := range []string{
		strings.Repeat("[", depth) + strings.Repeat("]", depth),
		strings.Repeat(`{"":`, depth/3) + "1" + strings.Repeat("}", depth/3),
	} {
		accepted(t, ours(t), hs(t, body(`"x":`+bomb)))
		for _, claim := range []string{"sub2", "jti", "rooms", "aud", "nbf"} {
			token := hs(t, body(fmt.Sprintf("%q:%s", claim, bomb)))
			if claim == "sub2" {
				accepted(t, ours(t), token)
			} else {
				refused(t, ours(t), token, ErrTokenInvalid, "the claim "+claim)
			}
		}
	}
}

// many is a list of so many members.
func many(n int, format string) string {
	all := make([]string, n)
	for i := range all {
		all[i] = fmt.Sprintf(format, i)
	}
	return strings.Join(all, ",")
}

// TestRoomsClaim holds that a claim that is not as documented makes the token invalid, instead of meaning something.
func TestRoomsClaim(t *testing.T) {
	a := ours(t)
	for rooms, want := range map[string]string{
		`null`: "no object", `[]`: "no object", `"chat/*"`: "no object", `true`: "no object", `["chat/*"]`: "no object",
		`{"chat/*":"join"}`: "no array", `{"chat/*":null}`: "no array", `{"chat/*":true}`: "no array", `{"chat/*":{"join":true}}`: "no array",
		`{"chat/*":[1]}`: "no array", `{"chat/*":[["join"]]}`: "no array", `{"chat/*":[null]}`: `action "" is unknown`,
		`{"chat/*":["Join"]}`: `action "Join" is unknown`, `{"chat/*":["join "]}`: "unknown", `{"chat/*":["*"]}`: "unknown",
		`{"chat/*":["join,send"]}`: "write join, send, presence, publish-as", `{"chat/*":["j\u001b[31moin"]}`: `j\x1b[31moin`,
		`{"":["join"]}`: "no room", `{"chat\\":["join"]}`: "nothing follows", `{"` + strings.Repeat("x", 513) + `":["join"]}`: "513 bytes",
		`{"a":["join"],"a":["send"]}`: "twice", `{"a":["join"],"\u0061":[]}`: "twice",
		`{` + many(101, `"r%d":["join"]`) + `}`:       "more than 100 patterns",
		`{"a":["` + strings.Repeat("x", 3000) + `"]}`: `x"…`,
	} {
		refused(t, a, hs(t, body(`"rooms":`+rooms)), ErrTokenInvalid, want)
	}
	g := accepted(t, a, hs(t, body(`"rooms":{`+many(99, `"r%d":["join"]`)+`,"**":["join","join"]}`)))
	if !g.Allows(Join, "r98") || !g.Allows(Join, "x") || g.Allows(Send, "r98") {
		t.Error("the rights of 100 patterns are not what they say")
	}
}

// TestNames holds that a user's name cannot pass for another, nor break a log.
func TestNames(t *testing.T) {
	a, exp := ours(t), in(3600e9)
	for name, sub := range map[string]string{
		"empty": `""`, "line end": `"a\nb"`, "nul": `"a\u0000"`, "escape": `"\u001b[31m"`, "del": `"a\u007f"`, "C1": `"a\u0085b"`,
		"right to left": `"a\u202eb"`, "isolate": `"\u2066a"`, "mark": `"a\u200e"`, "line separator": `"a\u2028"`, "paragraph": `"a\u2029"`,
		"half a pair": `"a\ud800"`, "pair the wrong way": `"\udc00\ud800"`, "U+FFFD": `"a` + "\ufffd" + `"`, "not UTF-8": "\"a\xff\"",
		"overlong": "\"a\xc0\xaf\"", "surrogate in UTF-8": "\"\xed\xa0\x80\"", "too long": `"` + strings.Repeat("a", 257) + `"`,
		"too long in bytes": `"` + strings.Repeat("ä", 129) + `"`, "number": `1`, "null": `null`, "array": `["ann"]`, "object": `{"ann":1}`, "bool": `true`,
	} {
		t.Run(name, func(t *testing.T) {
			refused(t, a, hs(t, fmt.Sprintf(`{"sub":%s,"exp":%d}`, sub, exp)), ErrTokenInvalid, "")
		})
	}
	for sub, want := range map[string]string{
		`"Ann"`: "Ann", `"\u0061nn"`: "ann", `" ann"`: " ann", `"a\"<b>"`: `a"<b>`, `"e\u0301"`: "e\u0301", `"é"`: "é", `"\ud83d\ude00"`: "😀", `"аnn"`: "аnn",
		`"` + strings.Repeat("ä", 128) + `"`: strings.Repeat("ä", 128),
	} {
		if g := accepted(t, a, hs(t, fmt.Sprintf(`{"sub":%s,"exp":%d}`, sub, exp))); g.User != want {
			t.Errorf("sub %s became %q, want %q", sub, g.User, want)
		}
	}
}
