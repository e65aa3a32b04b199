package admission

import (
	"net/http"
	"net/netip"
	"slices"
	"strings"
)

// addressOf is where a request comes from: the client's address or, behind trusted proxies, the last one in X-Forwarded-For that is none of
// them, for whatever stands before it may be invented. It is the zero Addr if there is no limit for it.
func (l *Limits) addressOf(r *http.Request) netip.Addr {
	peer, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{} // a pipe in a test
	}
	address := peer.Addr().Unmap()
	if !l.trusts(address) {
		return bucketOf(address)
	}
	hops := strings.Split(strings.Join(r.Header["X-Forwarded-For"], ","), ",")
	for _, hop := range slices.Backward(hops) {
		if hop = strings.TrimSpace(hop); hop == "" {
			continue
		}
		from, err := parseHop(hop)
		if err != nil {
			return netip.Addr{} // the proxy does not say: it is not to blame for all of its clients
		}
		if address = from.Unmap(); !l.trusts(address) {
			break
		}
	}
	if l.trusts(address) && len(r.Header["X-Forwarded-For"]) == 0 {
		return netip.Addr{} // likewise
	}
	return bucketOf(address)
}

// parseHop reads an address as proxies write it: alone, in brackets, or with a port.
func parseHop(hop string) (netip.Addr, error) {
	if withPort, err := netip.ParseAddrPort(hop); err == nil {
		return withPort.Addr(), nil
	}
	return netip.ParseAddr(strings.TrimSuffix(strings.TrimPrefix(hop, "["), "]"))
}

func (l *Limits) trusts(address netip.Addr) bool {
	return slices.ContainsFunc(l.TrustedProxies, func(p netip.Prefix) bool { return p.Contains(address) })
}

// bucketOf is what connections are counted by. A host with IPv6 has a whole /64 to itself, and the loopback address is this machine's own.
func bucketOf(address netip.Addr) netip.Addr {
	switch {
	case address.IsLoopback():
		return netip.Addr{}
	case address.Is6():
		prefix, _ := address.WithZone("").Prefix(64) // an IPv6 address has one
		return prefix.Addr()
	default:
		return address
	}
}
