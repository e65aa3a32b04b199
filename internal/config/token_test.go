package config

import (
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/alecthomas/kong"
)

// parseToken reads a command line the way the binary does.
func parseToken(t *testing.T, args ...string) (*Token, error) {
	t.Helper()
	var token Token
	parser, err := kong.New(&token, kong.Writers(io.Discard, io.Discard))
	if err != nil {
		t.Fatal(err)
	}
	_, err = parser.Parse(args)
	return &token, err
}

func TestToken(t *testing.T) {
	t.Setenv("ROOMCAST_TOKEN_SECRET", "from the environment")
	c, err := parseToken(t, "--user=ann")
	if err != nil || c.User != "ann" || c.Expires != time.Hour || c.Secret != "from the environment" || len(c.Rooms()) != 0 || c.JSON {
		t.Errorf("%+v, %v", c, err)
	}
	c, err = parseToken(t, "-u", "a b", "-r", "chat/*=join, send", "-r", "a=b,c=presence", "--room=chat/*=presence", "-e", "90s", "--secret=s", "--key-file=f",
		"--key-id=k", "--issuer=i", "--audience=a", "--json")
	if err != nil || c.User != "a b" || c.Expires != 90*time.Second || c.Secret != "s" || c.KeyFile != "f" || c.KeyID != "k" || c.Issuer != "i" || c.Audience != "a" || !c.JSON {
		t.Errorf("%+v, %v", c, err)
	}
	if got := fmt.Sprint(c.Rooms()); got != "map[a=b,c:[presence] chat/*:[join send presence]]" {
		t.Errorf("rooms %s", got)
	}
}

// TestTokenInvalid holds that each refusal names the flag and the value, and says what to write instead.
func TestTokenInvalid(t *testing.T) {
	for args, want := range map[string]string{
		"--secret=s":                               "missing flags: --user",
		"--user=a":                                 "--secret is missing: set it, or ROOMCAST_TOKEN_SECRET",
		"--user=a --secret=s --expires=0":          "--expires 0s: set a time such as 1h",
		"--user=a --secret=s --expires=-1h":        "--expires -1h0m0s: set a time such as 1h",
		"--user=a --secret=s --room=chat/*":        `--room "chat/*": write it as PATTERN=ACTIONS`,
		"--user=a --secret=s --room=a=b --room=a=": `--room "a=": write it as PATTERN=ACTIONS`,
	} {
		if _, err := parseToken(t, strings.Fields(args)...); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error %v, want one with %q", args, err, want)
		}
	}
}
