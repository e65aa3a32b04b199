package config

import (
	"net/netip"
	"strconv"

	"github.com/roomcast/roomcast"
)

// Access is how much is let in: connections, and what each of them asks for. 0 is no limit.
type Access struct {
	MaxMessageRate int   `reload:"true" default:"10000" placeholder:"N" env:"ROOMCAST_MAX_MESSAGE_RATE" help:"Messages per second from one connection of /ws; what is more is refused, and the client told. Here and below, 0 is no limit (default: ${default})."`
	MaxByteRate    Bytes `reload:"true" default:"64MiB" placeholder:"SIZE" env:"ROOMCAST_MAX_BYTE_RATE" help:"Bytes per second from one connection, likewise (default: ${default})."`
	MaxJoinRate    int   `reload:"true" default:"1000" placeholder:"N" env:"ROOMCAST_MAX_JOIN_RATE" help:"Joins per second of one connection, likewise; as many as --max-rooms may come at once (default: ${default})."`

	MaxUserMessageRate int   `reload:"true" default:"20000" placeholder:"N" env:"ROOMCAST_MAX_USER_MESSAGE_RATE" help:"Messages per second from all connections of a user to /ws together (default: ${default})."`
	MaxUserByteRate    Bytes `reload:"true" default:"128MiB" placeholder:"SIZE" env:"ROOMCAST_MAX_USER_BYTE_RATE" help:"Bytes per second from all connections of a user to /ws together (default: ${default})."`
	MaxUserConns       int   `reload:"true" default:"100" placeholder:"N" env:"ROOMCAST_MAX_USER_CONNS" help:"Connections with tokens of one user; one more is closed with 3100 (default: ${default})."`

	MaxAddressConns int      `reload:"true" default:"1000" placeholder:"N" env:"ROOMCAST_MAX_ADDRESS_CONNS" help:"Connections from one address, or one /64 of IPv6; one more is answered with 429. The loopback address has no limit (default: ${default})."`
	MaxAcceptRate   int      `reload:"true" default:"20000" placeholder:"N" env:"ROOMCAST_MAX_ACCEPT_RATE" help:"Upgrades per second, from everywhere together; what is more is answered with 503 and Retry-After, so that a storm of reconnects spreads out (default: ${default})."`
	TrustedProxy    []string `reload:"true" placeholder:"ADDR" env:"ROOMCAST_TRUSTED_PROXY" help:"Proxy whose X-Forwarded-For is believed, as an address or a range such as 10.0.0.0/8. May be repeated."`
}

func (a *Access) problems() (found []error) {
	for _, f := range []struct {
		flag  string
		value int
	}{
		{"max-message-rate", a.MaxMessageRate}, {"max-byte-rate", int(a.MaxByteRate)}, {"max-join-rate", a.MaxJoinRate},
		{"max-user-message-rate", a.MaxUserMessageRate}, {"max-user-byte-rate", int(a.MaxUserByteRate)}, {"max-user-conns", a.MaxUserConns},
		{"max-address-conns", a.MaxAddressConns}, {"max-accept-rate", a.MaxAcceptRate},
	} {
		if f.value < 0 {
			found = append(found, invalid(f.flag, f.value, "set 1 or more, or 0 for no limit"))
		}
	}
	for _, text := range a.TrustedProxy {
		if _, err := parsePrefix(text); err != nil {
			found = append(found, invalid("trusted-proxy", strconv.Quote(text), "write an address such as 10.0.0.7, or a range such as 10.0.0.0/8"))
		}
	}
	return found
}

func (a *Access) apply(*roomcast.Options) {}

// Proxies are the trusted proxies.
func (a *Access) Proxies() []netip.Prefix {
	var prefixes []netip.Prefix
	for _, text := range a.TrustedProxy {
		if prefix, err := parsePrefix(text); err == nil { // else it is among the problems
			prefixes = append(prefixes, prefix)
		}
	}
	return prefixes
}

// parsePrefix reads an address as the range of that one.
func parsePrefix(text string) (netip.Prefix, error) {
	if address, err := netip.ParseAddr(text); err == nil {
		return netip.PrefixFrom(address, address.BitLen()), nil
	}
	return netip.ParsePrefix(text)
}
