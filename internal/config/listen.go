package config

import (
	"net"
	"path"
	"strconv"

	"github.com/roomcast/roomcast"
)

// Listen is where the server listens, and to which pages.
type Listen struct {
	Addr string `default:"127.0.0.1:8080" placeholder:"HOST:PORT" env:"ROOMCAST_ADDR" help:"Address to listen on; port 0 takes a free one. One that other machines can reach wants keys for tokens, or --allow-anonymous (default: ${default})."`

	AllowedOrigin []string `placeholder:"ORIGIN" reload:"true" env:"ROOMCAST_ALLOWED_ORIGIN" help:"Browser origin that may connect besides this host itself, such as https://app.example.com or *.example.com; * for any. May be repeated."`
}

func (l *Listen) problems() (found []error) {
	if _, port, err := net.SplitHostPort(l.Addr); err != nil {
		found = append(found, invalid("addr", l.Addr, "write host:port such as 127.0.0.1:8080 or [::1]:8080"))
	} else if _, err := strconv.ParseUint(port, 10, 16); err != nil {
		found = append(found, invalid("addr", l.Addr, "write the port as a number from 1 to 65535, or 0 for a free one"))
	}
	for _, origin := range l.AllowedOrigin {
		if _, err := path.Match(origin, ""); err != nil || origin == "" {
			found = append(found, invalid("allowed-origin", strconv.Quote(origin),
				"write an origin such as https://app.example.com, a pattern such as *.example.com, or * for any"))
		}
	}
	return found
}

func (l *Listen) apply(o *roomcast.Options) { o.AllowedOrigins = l.AllowedOrigin }
