// Package config is what can be set: one struct per command, from which the flags, the environment variables and their help
// come, and its translation for the packages that do the work.
package config

import (
	"fmt"
	"io"
	"log/slog"
	"math"
	"net"
	"path"
	"strconv"
	"time"

	"github.com/roomcast/roomcast"
)

// Serve is everything that `roomcast serve` can be told. A flag wins over its environment variable, that over the default.
type Serve struct {
	Addr string `default:"127.0.0.1:8080" placeholder:"HOST:PORT" env:"ROOMCAST_ADDR" help:"Address to listen on; port 0 takes a free one. There is no authentication: with anything but a loopback address, whoever can reach it can join any room (default: ${default})."`

	AllowedOrigin []string `placeholder:"ORIGIN" env:"ROOMCAST_ALLOWED_ORIGIN" help:"Browser origin that may connect besides this host itself, such as https://app.example.com or *.example.com; * for any. May be repeated."`

	MaxMessage Bytes `default:"16MiB" placeholder:"SIZE" env:"ROOMCAST_MAX_MESSAGE" help:"Largest message a client may send; a larger one closes its connection with 1009 (default: ${default})."`
	Outbox     Bytes `default:"1MiB" placeholder:"SIZE" env:"ROOMCAST_OUTBOX" help:"How much may wait for a client that does not read; past it, the client is closed with 1013 (default: ${default})."`
	MaxRooms   int   `default:"1000" placeholder:"N" env:"ROOMCAST_MAX_ROOMS" help:"How many rooms one connection may be in (default: ${default})."`

	Coalesce    time.Duration `default:"0s" placeholder:"TIME" env:"ROOMCAST_COALESCE" help:"How long a message may wait for others, so that fewer and larger writes leave: latency for processor time (default: ${default})."`
	Compression bool          `env:"ROOMCAST_COMPRESSION" help:"Compress messages of 256 bytes and more for the clients that offer permessage-deflate: less traffic for more CPU."`

	PingInterval     time.Duration `default:"30s" placeholder:"TIME" env:"ROOMCAST_PING_INTERVAL" help:"Time between two pings to a client; 0 for no pings (default: ${default})."`
	PongTimeout      time.Duration `placeholder:"TIME" env:"ROOMCAST_PONG_TIMEOUT" help:"How long a client has to answer a ping; then it is closed with 1001 (default: 10s, or the ping interval if that is less)."`
	HandshakeTimeout time.Duration `default:"10s" placeholder:"TIME" env:"ROOMCAST_HANDSHAKE_TIMEOUT" help:"How long a client has to send its request; then it is cut off (default: ${default})."`
	ShutdownTimeout  time.Duration `default:"10s" placeholder:"TIME" env:"ROOMCAST_SHUTDOWN_TIMEOUT" help:"How long a shutdown waits for clients to say goodbye; then they are cut off (default: ${default})."`

	LogFormat string `default:"text" enum:"text,json" env:"ROOMCAST_LOG_FORMAT" help:"Form of the log on stderr: ${enum} (default: ${default})."`
	LogLevel  string `default:"info" enum:"debug,info,warn,error" env:"ROOMCAST_LOG_LEVEL" help:"Least important level that is logged: ${enum} (default: ${default})."`
}

// minPing keeps the heartbeat from becoming the traffic.
const minPing = 100 * time.Millisecond

// Validate reports the first setting that makes no sense: its flag, its value and what to set instead.
func (s *Serve) Validate() error {
	for _, check := range []func() error{s.checkAddr, s.checkOrigins, s.checkLimits, s.checkTimes} {
		if err := check(); err != nil {
			return err
		}
	}
	return s.Options(nil).Validate() // what the flags cannot say by themselves, if ever there is such a thing
}

func (s *Serve) checkAddr() error {
	_, port, err := net.SplitHostPort(s.Addr)
	if err != nil {
		return invalid("addr", s.Addr, "write host:port such as 127.0.0.1:8080 or [::1]:8080")
	}
	if _, err := strconv.ParseUint(port, 10, 16); err != nil {
		return invalid("addr", s.Addr, "write the port as a number from 1 to 65535, or 0 for a free one")
	}
	return nil
}

func (s *Serve) checkOrigins() error {
	for _, origin := range s.AllowedOrigin {
		if _, err := path.Match(origin, ""); err != nil || origin == "" {
			return invalid("allowed-origin", strconv.Quote(origin),
				"write an origin such as https://app.example.com, a pattern such as *.example.com, or * for any")
		}
	}
	return nil
}

func (s *Serve) checkLimits() error {
	for _, f := range []struct {
		flag  string
		value Bytes
	}{{"max-message", s.MaxMessage}, {"outbox", s.Outbox}} {
		if f.value < 1 || f.value > math.MaxInt32 {
			return invalid(f.flag, f.value, "set a size from 1B up to 2047MiB")
		}
	}
	if s.MaxRooms < 1 {
		return invalid("max-rooms", s.MaxRooms, "set 1 or more")
	}
	return nil
}

func (s *Serve) checkTimes() error {
	switch {
	case s.PingInterval != 0 && s.PingInterval < minPing:
		return invalid("ping-interval", s.PingInterval, fmt.Sprintf("set %v or more, or 0 for no pings", minPing))
	case s.Coalesce < 0 || s.Coalesce > time.Second:
		return invalid("coalesce", s.Coalesce, "set a time up to 1s such as 5ms, or 0 for none")
	case s.PongTimeout < 0:
		return invalid("pong-timeout", s.PongTimeout, "set a time such as 10s")
	case s.PingInterval != 0 && s.PongTimeout > s.PingInterval:
		return invalid("pong-timeout", s.PongTimeout, fmt.Sprintf("set at most the --ping-interval, %v", s.PingInterval))
	case s.HandshakeTimeout <= 0:
		return invalid("handshake-timeout", s.HandshakeTimeout, "set a time such as 10s")
	case s.ShutdownTimeout <= 0:
		return invalid("shutdown-timeout", s.ShutdownTimeout, "set a time such as 10s; a second signal stops at once")
	}
	return nil
}

func invalid(flag string, value any, remedy string) error {
	return fmt.Errorf("--%s %v: %s", flag, value, remedy)
}

// Options is what the settings mean for roomcast; what has no flag keeps its default there.
func (s *Serve) Options(logger *slog.Logger) roomcast.Options {
	ping := s.PingInterval
	if ping == 0 {
		ping = -1 // no pings: there, zero stands for the default
	}
	compression := roomcast.CompressionOff
	if s.Compression {
		compression = roomcast.CompressionOn
	}
	return roomcast.Options{
		Logger:           logger,
		Compression:      compression,
		AllowedOrigins:   s.AllowedOrigin,
		MaxMessageBytes:  int(s.MaxMessage),
		OutboxBytes:      int(s.Outbox),
		MaxRoomsPerConn:  s.MaxRooms,
		Coalesce:         s.Coalesce,
		PingInterval:     ping,
		PongTimeout:      s.PongTimeout,
		HandshakeTimeout: s.HandshakeTimeout,
	}
}

// Logger writes to w in the form and from the level that are set. What cannot be written is lost, and harms nobody.
func (s *Serve) Logger(w io.Writer) *slog.Logger {
	var level slog.Level
	_ = level.UnmarshalText([]byte(s.LogLevel)) // one of the four names, or Info
	options := &slog.HandlerOptions{Level: level}
	if s.LogFormat == "json" {
		return slog.New(slog.NewJSONHandler(w, options))
	}
	return slog.New(slog.NewTextHandler(w, options))
}
