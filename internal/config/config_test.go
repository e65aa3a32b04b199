package config

import (
	"bytes"
	"errors"
	"io"
	"log/slog"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/alecthomas/kong"
	"go.uber.org/goleak"

	"github.com/roomcast/roomcast"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// parse reads a command line the way the binary does.
func parse(t *testing.T, args ...string) (*Serve, error) {
	t.Helper()
	var serve Serve
	parser, err := kong.New(&serve, Durations(), kong.Writers(io.Discard, io.Discard))
	if err != nil {
		t.Fatal(err)
	}
	ctx, err := parser.Parse(args)
	if err != nil {
		return nil, err
	}
	if _, problems := serve.Load(ctx); len(problems) > 0 {
		return nil, problems[0]
	}
	return &serve, nil
}

func TestDefaults(t *testing.T) {
	s, err := parse(t)
	if err != nil {
		t.Fatal(err)
	}
	want := Serve{
		Listen: Listen{Addr: "127.0.0.1:8080"},
		Limits: Limits{MaxMessage: 16 << 20, Outbox: 1 << 20, MaxRooms: 1000},
		Timing: Timing{PingInterval: 30 * time.Second, HandshakeTimeout: 10 * time.Second, Drain: 20 * time.Second},
		Auth: Auth{TokenJWKSRefresh: 15 * time.Minute, TokenJWKSTimeout: 5 * time.Second, TokenLeeway: 5 * time.Second,
			TokenMaxLifetime: 24 * time.Hour, TokenTimeout: 10 * time.Second},
		Access: Access{MaxMessageRate: 10_000, MaxByteRate: 64 << 20, MaxJoinRate: 1000, MaxUserMessageRate: 20_000, MaxUserByteRate: 128 << 20,
			MaxUserConns: 100, MaxAddressConns: 1000, MaxAcceptRate: 20_000},
		Engine: Engine{IdempotencyWindow: 5 * time.Minute, SessionTTL: time.Minute, NATSPrefix: "roomcast", Data: "roomcast-data", Lease: 5 * time.Second},
		Log:    Log{LogFormat: "text", LogLevel: "info"},
	}
	if s.Compression || s.Options(nil).Compression != roomcast.CompressionOff {
		t.Error("compression is on")
	}
	if s.AllowedOrigin != nil {
		t.Errorf("allowed origins = %q, want none", s.AllowedOrigin)
	}
	if s.PongTimeout != 0 {
		t.Errorf("pong timeout = %v, want 0: roomcast chooses it by the ping interval", s.PongTimeout)
	}
	if !reflect.DeepEqual(*s, want) {
		t.Errorf("defaults = %+v, want %+v", s, want)
	}
}

func TestFlagsWinOverTheEnvironment(t *testing.T) {
	t.Setenv("ROOMCAST_ADDR", "127.0.0.1:1")
	t.Setenv("ROOMCAST_MAX_ROOMS", "7")
	t.Setenv("ROOMCAST_ALLOWED_ORIGIN", "https://a.example,*.b.example")
	t.Setenv("ROOMCAST_OUTBOX", "64KiB")
	s, err := parse(t, "--addr", "127.0.0.1:2", "--max-message=1.5MiB")
	if err != nil {
		t.Fatal(err)
	}
	if s.Addr != "127.0.0.1:2" || s.MaxRooms != 7 || s.Outbox != 64<<10 || s.MaxMessage != 3<<19 {
		t.Errorf("addr %s, rooms %d, outbox %v, message %v; want 127.0.0.1:2, 7, 64KiB, 1536KiB", s.Addr, s.MaxRooms, s.Outbox, s.MaxMessage)
	}
	if got := strings.Join(s.AllowedOrigin, " "); got != "https://a.example *.b.example" {
		t.Errorf("origins = %q, want the two of the environment", got)
	}
	s, err = parse(t, "--allowed-origin", "https://c.example", "--allowed-origin", "*")
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(s.AllowedOrigin, " "); got != "https://c.example *" {
		t.Errorf("origins = %q, want the two flags alone", got)
	}
}

// TestInvalid holds that each refusal names the flag and the value, and says what to write instead.
func TestInvalid(t *testing.T) {
	for _, c := range []struct{ args, want, remedy string }{
		{"--addr=here", "--addr here:", "write host:port"},
		{"--addr=1.2.3.4:70000", "--addr 1.2.3.4:70000:", "1 to 65535"},
		{"--addr=:http", "--addr :http:", "as a number"},
		{"--allowed-origin=[", `--allowed-origin "[":`, "https://app.example.com"},
		{"--max-message=0", "--max-message 0B:", "from 1B"},
		{"--max-message=2GiB", "--max-message 2GiB:", "up to 2047MiB"},
		{"--max-message=much", `--max-message: "much"`, "such as 1MiB"},
		{"--outbox=0", "--outbox 0B:", "from 1B"},
		{"--max-rooms=0", "--max-rooms 0:", "1 or more"},
		{"--ping-interval=-1s", "--ping-interval -1s:", "or 0 for no pings"},
		{"--ping-interval=5ms", "--ping-interval 5ms:", "100ms or more"},
		{"--pong-timeout=-1s", "--pong-timeout -1s:", "such as 10s"},
		{"--ping-interval=5s --pong-timeout=6s", "--pong-timeout 6s:", "at most the --ping-interval, 5s"},
		{"--handshake-timeout=0", "--handshake-timeout 0s:", "such as 10s"},
		{"--drain=0s", "--drain 0s:", "such as 20s"},
		{"--slow=cursors", `--slow "cursors":`, "such as 'cursors/*=keep-latest'"},
		{"--slow==close", `--slow "=close":`, "write a pattern"},
		{"--max-join-rate=-1", "--max-join-rate -1:", "0 for no limit"},
		{"--trusted-proxy=here", `--trusted-proxy "here":`, "10.0.0.0/8"},
		{"--token-timeout=0", "--token-timeout 0s:", "such as 10s"},
		{"--log-format=xml", "--log-format", `"text","json"`},
		{"--log-level=all", "--log-level", `"debug"`},
	} {
		_, err := parse(t, strings.Fields(c.args)...)
		if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), c.remedy) {
			t.Errorf("%s: error %v, want one with %q and %q", c.args, err, c.want, c.remedy)
		}
	}
}

// TestProblems holds that all of them are found, not the first alone.
func TestProblems(t *testing.T) {
	s, err := parse(t)
	if err != nil {
		t.Fatal(err)
	}
	s.Addr, s.AllowedOrigin, s.Outbox, s.MaxRooms, s.PongTimeout, s.Drain = "here", []string{"[", "*", ""}, 0, 0, -1, 0
	var flags []string
	for _, err := range s.Problems() {
		var p *Problem
		if !errors.As(err, &p) {
			t.Fatalf("%v is no Problem", err)
		}
		flags = append(flags, p.Flag)
	}
	want := []string{"addr", "allowed-origin", "allowed-origin", "outbox", "max-rooms", "pong-timeout", "drain"}
	if !slices.Equal(flags, want) {
		t.Errorf("problems with %q, want %q", flags, want)
	}
}

func TestOptions(t *testing.T) {
	s, err := parse(t, "--max-message=2KiB", "--outbox=3KiB", "--max-rooms=4", "--ping-interval=5s", "--pong-timeout=4s",
		"--handshake-timeout=3s", "--allowed-origin=*", "--compression")
	if err != nil {
		t.Fatal(err)
	}
	logger := slog.New(slog.DiscardHandler)
	o := s.Options(logger)
	if o.Logger != logger || o.MaxMessageBytes != 2048 || o.OutboxBytes != 3072 || o.MaxRoomsPerConn != 4 || o.PingInterval != 5*time.Second ||
		o.PongTimeout != 4*time.Second || o.HandshakeTimeout != 3*time.Second || len(o.AllowedOrigins) != 1 || o.Compression != roomcast.CompressionOn {
		t.Errorf("options = %+v", o)
	}
	if s, err = parse(t, "--ping-interval=0"); err != nil {
		t.Fatal(err)
	}
	if o := s.Options(nil); o.PingInterval >= 0 {
		t.Errorf("--ping-interval=0 became %v, want a negative interval: no pings", o.PingInterval)
	}
}

func TestLogger(t *testing.T) {
	var out bytes.Buffer
	s, err := parse(t, "--log-format=json", "--log-level=warn")
	if err != nil {
		t.Fatal(err)
	}
	logger := s.Logger(&out)
	logger.Info("quiet")
	logger.Warn("loud")
	if got := out.String(); strings.Contains(got, "quiet") || !strings.HasPrefix(got, `{"time":`) || !strings.Contains(got, `"msg":"loud"`) {
		t.Errorf("logged %q, want the warning alone, as JSON", got)
	}
}
