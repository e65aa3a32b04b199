package auth

import (
	"bytes"
	"encoding/json"
	"errors"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/golang-jwt/jwt/v5"
)

// maxNameBytes is how long the names of a user and of a token may be.
const maxNameBytes = 256

// claims are the members of a token that mean something here; others are ignored.
type claims struct {
	user, id, issuer           string
	audience                   []string
	expires, issued, notBefore *jwt.NumericDate
	rules                      []rule
	direct                     bool
}

// UnmarshalJSON reads the claims, strictly: encoding/json takes "EXP" for "exp", the last of two members with the same name, and
// half a character for U+FFFD, without a word.
func (c *claims) UnmarshalJSON(p []byte) error {
	if !utf8.Valid(p) {
		return reason("its claims are not UTF-8")
	}
	err := members(p, c.read)
	if err == nil && c.user == "" {
		return reason("the claim sub, whose token it is, is missing or empty")
	}
	return err
}

func (c *claims) read(name string, value json.RawMessage) (err error) {
	switch name {
	case "sub":
		c.user, err = readName(value)
	case "jti":
		c.id, err = readName(value)
	case "iss":
		c.issuer, err = readString(value)
	case "aud":
		c.audience, err = readAudience(value)
	case "exp":
		c.expires, err = readDate(value)
	case "iat":
		c.issued, err = readDate(value)
	case "nbf":
		c.notBefore, err = readDate(value)
	case "rooms":
		c.rules, err = readRooms(value)
	case "direct":
		c.direct, err = readBool(value)
	}
	if err != nil {
		return reasonf("the claim %s: %v", name, err)
	}
	return nil
}

func readBool(value json.RawMessage) (bool, error) {
	switch string(value) {
	case "true", "false":
		return string(value) == "true", nil
	}
	return false, reason("it has to be true or false")
}

func readRooms(value json.RawMessage) ([]rule, error) {
	var rules []rule
	err := members(value, func(text string, value json.RawMessage) error {
		var actions []string
		if value[0] != '[' || json.Unmarshal(value, &actions) != nil {
			return reasonf("the actions of %s are no array of strings", quoted(text))
		}
		r, err := newRule(text, actions)
		if err != nil {
			return reason(err.Error())
		}
		if rules = append(rules, r); len(rules) > maxRules {
			return reasonf("more than %d patterns", maxRules)
		}
		return nil
	})
	return rules, err
}

// readDate takes what RFC 7519 calls a NumericDate: a number of seconds, which may have a fraction. Others, and times past the year
// 9999, would mean something else to each reader.
func readDate(value json.RawMessage) (*jwt.NumericDate, error) {
	const year10000 = 253402300800
	seconds, err := strconv.ParseFloat(string(value), 64) // a JSON number, for it is JSON
	if err != nil || !(seconds >= 0 && seconds < year10000) {
		return nil, errors.New("it is no number of seconds since 1970, up to the year 9999")
	}
	whole := int64(seconds)
	return &jwt.NumericDate{Time: time.Unix(whole, int64((seconds-float64(whole))*1e9))}, nil
}

func readAudience(value json.RawMessage) ([]string, error) {
	if value[0] == '"' {
		one, err := readString(value)
		return []string{one}, err
	}
	var all []string
	if value[0] != '[' || json.Unmarshal(value, &all) != nil {
		return nil, errors.New("it is neither a string nor an array of strings")
	}
	return all, nil
}

func readString(value json.RawMessage) (s string, err error) {
	if value[0] != '"' || json.Unmarshal(value, &s) != nil {
		return "", errors.New("it is no string")
	}
	return s, nil
}

func readName(value json.RawMessage) (string, error) {
	s, err := readString(value)
	if err == nil {
		err = CheckName(s)
	}
	return s, err
}

// CheckName reports why the name of a user (sub) or of a token (jti) is none that a token could have: it has 1 to 256 bytes of UTF-8, and
// is what it looks like, so that it neither breaks a line of a log nor turns it round. U+FFFD is what any half a character becomes, so that
// two names would be one.
func CheckName(s string) error {
	bad := func(r rune) bool {
		return r == utf8.RuneError || unicode.IsControl(r) || unicode.In(r, unicode.Zl, unicode.Zp, unicode.Bidi_Control)
	}
	switch {
	case s == "":
		return errors.New("it is empty")
	case len(s) > maxNameBytes:
		return reasonf("%d bytes are too many; at most %d are taken", len(s), maxNameBytes)
	case strings.ContainsFunc(s, bad):
		return errors.New("there are control characters, line or direction marks, or half characters in it")
	}
	return nil
}

// members calls visit with each member of the object that p, which is JSON, should be. None may come twice.
func members(p []byte, visit func(name string, value json.RawMessage) error) error {
	dec := json.NewDecoder(bytes.NewReader(p))
	if begin, err := dec.Token(); err != nil || begin != json.Delim('{') {
		return reason("it is no object")
	}
	var seen []string
	for dec.More() {
		var value json.RawMessage
		token, err := dec.Token()
		name, ok := token.(string)
		if err != nil || !ok || dec.Decode(&value) != nil {
			return reason("it is no JSON")
		}
		if len(seen) > maxRules {
			return reasonf("more than %d members", maxRules)
		}
		if slices.Contains(seen, name) {
			return reasonf("%s is in it twice", quoted(name))
		}
		seen = append(seen, name)
		if err := visit(name, value); err != nil {
			return err
		}
	}
	return nil
}

// The library asks for the claims it checks by these methods.

// GetExpirationTime is exp.
func (c *claims) GetExpirationTime() (*jwt.NumericDate, error) { return c.expires, nil }

// GetIssuedAt is iat.
func (c *claims) GetIssuedAt() (*jwt.NumericDate, error) { return c.issued, nil }

// GetNotBefore is nbf.
func (c *claims) GetNotBefore() (*jwt.NumericDate, error) { return c.notBefore, nil }

// GetIssuer is iss.
func (c *claims) GetIssuer() (string, error) { return c.issuer, nil }

// GetSubject is sub.
func (c *claims) GetSubject() (string, error) { return c.user, nil }

// GetAudience is aud.
func (c *claims) GetAudience() (jwt.ClaimStrings, error) { return c.audience, nil }
