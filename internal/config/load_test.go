package config

import (
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/alecthomas/kong"
)

// withSecret is settings with a secret in them.
type withSecret struct {
	Serve
	Key string `secret:"true" env:"ROOMCAST_KEY"`
}

// loaded loads a command line; its problems are one text, a line each.
func loaded(t *testing.T, args ...string) (*withSecret, []Setting, string) {
	t.Helper()
	var s withSecret
	parser, err := kong.New(&s, Durations(), kong.Writers(io.Discard, io.Discard))
	if err != nil {
		t.Fatal(err)
	}
	ctx, err := parser.Parse(args)
	if err != nil {
		t.Fatal(err)
	}
	settings, problems := s.Load(ctx)
	var text strings.Builder
	for _, p := range problems {
		text.WriteString(p.Error() + "\n")
	}
	return &s, settings, text.String()
}

// file writes a configuration file into a folder of its own, which becomes the working directory.
func file(t *testing.T, content string) (name string) {
	t.Helper()
	t.Chdir(t.TempDir())
	if err := os.WriteFile("rc.yaml", []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return "rc.yaml"
}

// TestPrecedence holds that a flag wins over the environment, that over the file, that over the default, and that each is named.
func TestPrecedence(t *testing.T) {
	t.Setenv("ROOMCAST_CONFIG", file(t, `# comment
addr: 127.0.0.1:1
max-rooms: 7
outbox: "64KiB"
compression: yes
allowed-origin:
  - https://a.example
  - "*.b.example"
ping-interval: 20s
log-level: warn
`))
	t.Setenv("ROOMCAST_ADDR", "127.0.0.1:2")
	t.Setenv("ROOMCAST_MAX_ROOMS", "8")
	s, settings, problems := loaded(t, "--addr=127.0.0.1:3")
	if problems != "" || s.Config != "rc.yaml" || s.Addr != "127.0.0.1:3" || s.MaxRooms != 8 || s.Outbox != 64<<10 || !s.Compression ||
		!slices.Equal(s.AllowedOrigin, []string{"https://a.example", "*.b.example"}) || s.PingInterval != 20*time.Second ||
		s.LogLevel != "warn" || s.MaxMessage != 16<<20 || s.LogFormat != "text" {
		t.Errorf("settings %+v; problems %q", s.Serve, problems)
	}
	sources := map[string]string{}
	for _, set := range settings {
		sources[set.Name] = set.Source.String()
	}
	for name, want := range map[string]string{
		"addr": "flag", "max-rooms": "environment ROOMCAST_MAX_ROOMS", "outbox": "rc.yaml:4", "allowed-origin": "rc.yaml:6",
		"max-message": "default", "key": "default",
	} {
		if sources[name] != want {
			t.Errorf("%s comes from %s, want %s", name, sources[name], want)
		}
	}
	if _, listed := sources["config"]; listed {
		t.Error("the file is listed among the settings")
	}
}

// TestFileProblems holds that everything wrong with a file is found, with its line and what to do.
func TestFileProblems(t *testing.T) {
	for _, c := range []struct{ content, want string }{
		{"", ""},
		{"# nothing\n", ""},
		{"---\naddr: localhost:1\n...\n", ""},
		{"allowed-origin: https://a.example,b\n", ""}, // a comma is part of the value, as nothing has to be split in a file
		{"allowed-origin: []\n", ""},
		{"adr: :1\nmax_rooms: 3\nwhatsoever: 1\nconfig: x\n", `rc.yaml:1: no setting is named "adr"; did you mean addr?
rc.yaml:2: no setting is named "max_rooms"; did you mean max-rooms?
rc.yaml:3: no setting is named "whatsoever"; roomcast serve --help lists the settings, which are named like the flags
rc.yaml:4: no setting is named "config"; roomcast serve --help lists the settings, which are named like the flags
`},
		{"max-rooms: many\nmax-message: much\ncompression: maybe\nping-interval: 5\npong-timeout: soon\nlog-level: all\n",
			`rc.yaml:2: max-message much: "much" is not a size; write a number of bytes, or a number with KiB, MiB, GiB or TiB such as 1MiB
rc.yaml:1: max-rooms many: write a whole number
rc.yaml:3: compression maybe: write true or false
rc.yaml:4: ping-interval 5: "5" has no unit; write 5s
rc.yaml:5: pong-timeout soon: "soon" is not a time; write one with its unit, such as 5s, 1m30s or 100ms
rc.yaml:6: log-level all: write one of debug, info, warn, error
`},
		{"addr: here\nmax-rooms: 0\n", `rc.yaml:1: addr here: write host:port such as 127.0.0.1:8080 or [::1]:8080
rc.yaml:2: max-rooms 0: set 1 or more
`},
		{"addr: 0.0.0.0:1\n", "rc.yaml:1: addr 0.0.0.0:1: other machines can reach it, and there are no keys for tokens: give some (--token-secret, " +
			"--token-key-file, --token-jwks-url), or let anybody join any room with --allow-anonymous\n"},
		{"addr: :1\nallow-anonymous: true\n", ""},
		{"addr: '[::]:1'\ntoken-secret: x\n", ""},
		{"addr: \"a\\nb\"\n", `rc.yaml:1: addr "a\nb": write host:port such as 127.0.0.1:8080 or [::1]:8080` + "\n"},
		{"addr: localhost:1\naddr: localhost:2\n", "rc.yaml:2: addr is set in line 1 already; set it once\n"},
		{"addr:\n", "rc.yaml:1: addr: there is no value; write one, or take the line out\n"},
		{"addr: [':1']\n", "rc.yaml:1: addr: this is a list; write one value\n"},
		{"addr:\n  host: x\n", "rc.yaml:2: addr: this has settings in it; write a plain value\n"},
		{"addr: &a localhost:1\nlog-level: *a\n", "rc.yaml:2: log-level: *a refers to another value; write the value itself, in quotes if it begins with *\n"},
		{"allowed-origin: [x, {y: z}]\n", "rc.yaml:1: allowed-origin: item 2 is no plain value; write one, in quotes if it begins with *\n"},
		{"- addr\n", "rc.yaml:1: this is no setting; " + writeSetting + "\n"},
		{"addr: localhost:1\n---\naddr: localhost:2\n", "rc.yaml:2: a second document begins; write all settings into one\n"},
		{"log-level: info\n\taddr: x\n", "rc.yaml:2: this is not YAML (found a tab character that violates indentation); " + writeSetting + "\n"},
		{"#" + strings.Repeat("x", maxFile), "--config rc.yaml: it has more than 1MiB; name a configuration file\n"},
	} {
		_, _, problems := loaded(t, "--config", file(t, c.content))
		if problems != c.want {
			t.Errorf("%.60q:\n got %s\nwant %s", c.content, problems, c.want)
		}
	}
}

// TestNoFile holds that a file that cannot be read is one line that says where its name came from.
func TestNoFile(t *testing.T) {
	t.Chdir(t.TempDir())
	if err := os.Mkdir("folder", 0o700); err != nil {
		t.Fatal(err)
	}
	if _, _, problems := loaded(t, "--config=folder"); problems != "--config folder: is a directory; name a file that can be read\n" {
		t.Errorf("a folder: %q", problems)
	}
	t.Setenv("ROOMCAST_CONFIG", filepath.Join("no", "file"))
	_, _, problems := loaded(t)
	if !strings.HasPrefix(problems, "ROOMCAST_CONFIG "+filepath.Join("no", "file")+": ") || !strings.HasSuffix(problems, "; name a file that can be read\n") {
		t.Errorf("no file: %q", problems)
	}
}

// TestSecrets holds that nothing that is printed has a secret in it, and that it is used all the same.
func TestSecrets(t *testing.T) {
	name := file(t, "key: swordfish\n")
	s, settings, problems := loaded(t, "--config", name)
	at := slices.IndexFunc(settings, func(s Setting) bool { return s.Name == "key" })
	if s.Key != "swordfish" || problems != "" || at < 0 || settings[at].Shown() != "********" {
		t.Fatalf("key %q, problems %q, settings %+v", s.Key, problems, settings)
	}
	l := loader{wrong: map[string]bool{}}
	l.misfit(invalid("key", "swordfish", "take another"), settings)
	if got := l.problems[0].Error(); got != "rc.yaml:1: key ********: take another" {
		t.Errorf("problem %q", got)
	}
	if _, settings, _ = loaded(t); settings[at].Shown() != "" {
		t.Errorf("a secret that is not there is shown as %v", settings[at].Shown())
	}
}

func TestChanged(t *testing.T) {
	_, before, _ := loaded(t, "--max-rooms=3", "--key=a")
	_, now, _ := loaded(t, "--max-rooms=3", "--key=b", "--allowed-origin=x")
	var changed []string
	for _, s := range Changed(before, now) {
		changed = append(changed, s.Name)
		if s.Live != (s.Name == "allowed-origin") {
			t.Errorf("%s takes effect at once: %v", s.Name, s.Live)
		}
	}
	if !slices.Equal(changed, []string{"allowed-origin", "key"}) {
		t.Errorf("changed: %q", changed)
	}
	if same := Changed(now, now); len(same) > 0 {
		t.Errorf("changed without a change: %+v", same)
	}
}

func TestNearest(t *testing.T) {
	names := []string{"addr", "allowed-origin", "max-rooms", "max-message"}
	for written, want := range map[string]string{
		"adr": "addr", "ADDR": "addr", "max_rooms": "max-rooms", "maxrooms": "max-rooms", "allowed-origins": "allowed-origin",
		"allowed": "allowed-origin", "": "", "whatsoever": "", strings.Repeat("addr", 1000): "",
	} {
		if got := nearest(written, names); got != want {
			t.Errorf("nearest to %.20q is %q, want %q", written, got, want)
		}
	}
}

// FuzzFile holds that no file makes the reader fail in another way than with a problem, and that each problem is one line.
func FuzzFile(f *testing.F) {
	for _, seed := range []string{"addr: :1", "a: &x [*x]", "? [a]\n: b", "!!binary a: b", "allowed-origin: [a, b]", "<<: {a: b}", "\xff"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, content string) {
		name := filepath.Join(t.TempDir(), "f")
		if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		parser, err := kong.New(&withSecret{}, Durations())
		if err != nil {
			t.Fatal(err)
		}
		_, problems := readFile(name, Source{}, settable(parser.Model.Flags))
		for _, p := range problems {
			if strings.Contains(p.Error(), "\n") {
				t.Errorf("more than a line: %q", p)
			}
		}
	})
}
