package config

import (
	"fmt"
	"math"
	"net"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/roomcast/roomcast"
)

// Engine is what lies behind the rooms of /ws: what they keep, how long a session outlives its connection, and the other nodes.
type Engine struct {
	History           []string      `sep:"none" placeholder:"PATTERN=MESSAGES[,AGE[,SIZE]]" env:"ROOMCAST_HISTORY" help:"What rooms keep of what was sent, by their name, for clients that come back: how many messages each, for how long (24h without it), and how much all rooms of the pattern together (1GiB), such as 'chat/**=1000,24h,1GiB'. 0 messages keep nothing, and so does a room that no pattern fits. Patterns are those of --slow. May be repeated; the first that fits counts."`
	IdempotencyWindow time.Duration `default:"5m" placeholder:"TIME" env:"ROOMCAST_IDEMPOTENCY_WINDOW" help:"How long a room with a history knows the idempotency key of a message, so that it is not stored twice (default: ${default})."`
	SessionTTL        time.Duration `name:"session-ttl" default:"60s" placeholder:"TIME" env:"ROOMCAST_SESSION_TTL" help:"How long a client that has lost its connection may take to come back and still be in its rooms; 0 ends a session with its connection (default: ${default})."`

	NATS         Servers `name:"nats" placeholder:"URL,..." env:"ROOMCAST_NATS" help:"What connects this server with others and keeps the histories: NATS servers, such as nats://10.0.0.7:4222, or embedded for one in this process. Without it, both are in memory and of this process alone."`
	NATSCreds    string  `name:"nats-creds" placeholder:"FILE" env:"ROOMCAST_NATS_CREDS" help:"Credentials for the NATS servers, as nsc writes them."`
	NATSCA       string  `name:"nats-ca" placeholder:"FILE" env:"ROOMCAST_NATS_CA" help:"Certificates in PEM of who signs those of the NATS servers, instead of those that the system trusts."`
	NATSCert     string  `name:"nats-cert" placeholder:"FILE" env:"ROOMCAST_NATS_CERT" help:"Certificate in PEM to show to the NATS servers."`
	NATSKey      string  `name:"nats-key" placeholder:"FILE" env:"ROOMCAST_NATS_KEY" help:"Its key."`
	NATSPrefix   string  `name:"nats-prefix" default:"roomcast" placeholder:"NAME" env:"ROOMCAST_NATS_PREFIX" help:"What subjects, streams and buckets in NATS begin with: servers with the same one are a cluster (default: ${default})."`
	NATSReplicas int     `name:"nats-replicas" placeholder:"N" env:"ROOMCAST_NATS_REPLICAS" help:"On how many NATS servers histories and presence are kept (default: 1; embedded with peers, up to 3)."`

	Data          string        `default:"roomcast-data" placeholder:"DIR" env:"ROOMCAST_DATA" help:"Where --nats embedded keeps its data; each process needs a directory of its own (default: ${default})."`
	DataMax       Bytes         `placeholder:"SIZE" env:"ROOMCAST_DATA_MAX" help:"How much that may be (default: three quarters of what is free on the disk)."`
	Node          string        `placeholder:"NAME" env:"ROOMCAST_NODE" help:"Name of this server in the cluster, which no other has, and which it keeps (default: a random one)."`
	ClusterListen string        `placeholder:"HOST:PORT" env:"ROOMCAST_CLUSTER_LISTEN" help:"Where --nats embedded listens for its peers. What they say is not encrypted: an address of a private network."`
	ClusterPeers  []string      `placeholder:"HOST:PORT" env:"ROOMCAST_CLUSTER_PEERS" help:"The --cluster-listen of the other servers of the cluster. May be repeated."`
	ClusterSecret string        `secret:"true" placeholder:"SECRET" env:"ROOMCAST_CLUSTER_SECRET" help:"Secret of 16 characters or more that all servers of the cluster have: without it, whoever can reach --cluster-listen belongs to the cluster. The environment or a file is the better place."`
	Lease         time.Duration `default:"5s" placeholder:"TIME" env:"ROOMCAST_LEASE" help:"How long a server of the cluster that is not heard of is taken for alive; its clients have the --session-ttl from then on (default: ${default})."`
}

// Servers is where NATS is: URLs with commas between them, embedded, or empty.
type Servers string

// defaultData is the default of Engine.Data.
const defaultData = "roomcast-data"

// Embedded is the Servers in this process.
const Embedded Servers = "embedded"

// String is for people: what an URL says of user and password is left out.
func (s Servers) String() string {
	var list []string
	for text := range strings.SplitSeq(string(s), ",") {
		if n := len(list); n > 0 && !strings.Contains(text, "://") { // the comma may have been one of a password
			list[n-1] += "," + text
			continue
		}
		list = append(list, text)
	}
	for i, text := range list {
		if at := strings.LastIndexByte(text, '@'); at >= 0 { // not net/url: it may be the wrong one of several
			begin := 0
			if scheme, _, ok := strings.Cut(text[:at], "://"); ok {
				begin = len(scheme) + len("://")
			}
			list[i] = text[:begin] + masked + text[at:]
		}
	}
	return strings.Join(list, ",")
}

// MarshalText is String: what is printed as JSON has no password in it either.
func (s Servers) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

const (
	maxName     = 32       // bytes of a node or a prefix
	maxReplicas = 5        // as NATS has it
	minSecret   = 16       // characters
	besides     = 64 << 20 // bytes of --data-max that no history may take
	minTime     = time.Second
	maxTime     = 24 * time.Hour
)

func (e *Engine) problems() []error {
	found := e.historyProblems()
	for _, f := range []struct {
		flag  string
		value time.Duration
		least time.Duration
	}{{"idempotency-window", e.IdempotencyWindow, minTime}, {"session-ttl", e.SessionTTL, 0}, {"lease", e.Lease, minTime}} {
		if f.value < f.least || f.value > maxTime || f.value > 0 && f.value < minTime {
			remedy := "set a time from 1s up to 24h"
			if f.least == 0 {
				remedy += ", or 0 for sessions that end with their connection"
			}
			found = append(found, invalid(f.flag, f.value, remedy))
		}
	}
	if !named(e.NATSPrefix) || strings.ToLower(e.NATSPrefix) != e.NATSPrefix { // the names of streams are in capitals
		found = append(found, invalid("nats-prefix", strconv.Quote(e.NATSPrefix), "write 1 to 32 small letters and digits, - and _"))
	}
	if e.Node != "" && !named(e.Node) {
		found = append(found, invalid("node", strconv.Quote(e.Node), "write 1 to 32 letters and digits, - and _"))
	}
	found = append(found, e.misplaced()...)
	switch e.NATS {
	case "":
	case Embedded:
		found = append(found, e.embeddedProblems()...)
	default:
		found = append(found, e.externalProblems()...)
	}
	if e.NATSReplicas < 0 || e.NATSReplicas > maxReplicas {
		found = append(found, invalid("nats-replicas", e.NATSReplicas, "set 1, 3 or 5, or 0 for the default"))
	}
	return found
}

// misplaced are the flags that are set and mean nothing to the kind of NATS that is wanted.
func (e *Engine) misplaced() (found []error) {
	for _, f := range [][2]string{{"nats-creds", e.NATSCreds}, {"nats-ca", e.NATSCA}, {"nats-cert", e.NATSCert}, {"nats-key", e.NATSKey}} {
		if flag, value := f[0], f[1]; value != "" && (e.NATS == "" || e.NATS == Embedded) {
			found = append(found, invalid(flag, value, "it is for NATS servers elsewhere: name them with --nats, or leave it out"))
		}
	}
	for _, f := range [][2]string{{"cluster-listen", e.ClusterListen}, {"cluster-peers", strings.Join(e.ClusterPeers, ",")}} {
		if flag, value := f[0], f[1]; value != "" && e.NATS != Embedded {
			found = append(found, invalid(flag, value, "it is for --nats embedded: set that, or leave it out"))
		}
	}
	if e.NATS != Embedded && e.Data != defaultData {
		found = append(found, invalid("data", strconv.Quote(e.Data), "nothing is kept there without --nats embedded: set that, or leave it out"))
	}
	if e.NATS != Embedded && e.DataMax != 0 {
		found = append(found, invalid("data-max", e.DataMax, "it is for --nats embedded: set that, or leave it out"))
	}
	if e.NATS == "" && e.NATSReplicas > 1 {
		found = append(found, invalid("nats-replicas", e.NATSReplicas, "in memory there is no second copy: say with --nats where to keep them, or leave it out"))
	}
	return found
}

// externalProblems is what is wrong with how to reach NATS servers elsewhere.
func (e *Engine) externalProblems() (found []error) {
	for text := range strings.SplitSeq(string(e.NATS), ",") {
		u, err := url.Parse(text)
		if err != nil || u.Host == "" || u.Scheme != "nats" && u.Scheme != "tls" && u.Scheme != "ws" && u.Scheme != "wss" {
			found = append(found, invalid("nats", e.NATS, "write embedded, or URLs such as nats://10.0.0.7:4222 or tls://nats.example.com:4222"))
			break
		}
	}
	switch {
	case e.NATSCert != "" && e.NATSKey == "":
		found = append(found, invalid("nats-cert", e.NATSCert, "give its key too, with --nats-key"))
	case e.NATSKey != "" && e.NATSCert == "":
		found = append(found, invalid("nats-key", e.NATSKey, "give its certificate too, with --nats-cert"))
	}
	return found
}

// embeddedProblems is what is wrong with NATS in this process.
func (e *Engine) embeddedProblems() (found []error) {
	if e.Data == "" {
		found = append(found, invalid("data", `""`, "name a directory such as /var/lib/roomcast"))
	}
	if host, _, _ := net.SplitHostPort(e.ClusterListen); e.ClusterListen != "" && e.ClusterSecret == "" && reachable(host) {
		found = append(found, invalid("cluster-listen", e.ClusterListen, "other machines can reach it, and would belong to the cluster: give all servers of it the same --cluster-secret"))
	}
	if e.ClusterSecret != "" && len(e.ClusterSecret) < minSecret {
		found = append(found, fmt.Errorf("--cluster-secret has %d characters: give it %d or more, such as openssl rand -base64 32 prints", len(e.ClusterSecret), minSecret))
	}
	if need := e.historyBytes(); e.DataMax != 0 && int64(e.DataMax)-need < besides {
		remedy := fmt.Sprintf("set %v or more: sessions need %v", Bytes(min(need, math.MaxInt64-besides)+besides), Bytes(besides))
		if need > 0 {
			remedy += fmt.Sprintf(" beside the %v that the histories may take; or less for --history", Bytes(need))
		}
		found = append(found, invalid("data-max", e.DataMax, remedy))
	}
	for _, address := range append([]string{e.ClusterListen}, e.ClusterPeers...) {
		flag := "cluster-peers"
		if address == e.ClusterListen {
			flag = "cluster-listen"
		}
		_, port, err := net.SplitHostPort(address)
		if n, number := strconv.ParseUint(port, 10, 16); address != "" && (err != nil || number != nil || n == 0) {
			found = append(found, invalid(flag, strconv.Quote(address), "write host:port such as 10.0.0.7:6222"))
		}
	}
	alone := len(e.ClusterPeers) == 0
	switch {
	case alone && e.ClusterListen != "":
		found = append(found, invalid("cluster-listen", e.ClusterListen, "name the other servers of the cluster with --cluster-peers, or leave it out for one that stays alone"))
	case !alone && e.ClusterListen == "":
		found = append(found, invalid("cluster-peers", strings.Join(e.ClusterPeers, ","), "say with --cluster-listen where the peers reach this server"))
	case !alone && e.Node == "":
		found = append(found, invalid("cluster-peers", strings.Join(e.ClusterPeers, ","), "name this server with --node: its peers know its share of the data by that"))
	case alone && e.NATSReplicas > 1:
		found = append(found, invalid("nats-replicas", e.NATSReplicas, "leave it out: a server without --cluster-peers has nowhere to keep a second copy"))
	}
	return found
}

// named reports whether s will do as a name in subjects, streams and files.
func named(s string) bool { return s != "" && len(s) <= maxName && strings.Trim(s, nameBytes) == "" }

const nameBytes = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_"

// Replicas is on how many NATS servers things are kept.
func (e *Engine) Replicas() int {
	switch {
	case e.NATSReplicas > 0:
		return e.NATSReplicas
	case e.NATS == Embedded:
		servers := 1
		for _, peer := range e.ClusterPeers {
			if peer != e.ClusterListen { // all servers may have been given the same list
				servers++
			}
		}
		return min(3, servers)
	}
	return 1
}

// historyBytes is how much all histories may take together.
func (e *Engine) historyBytes() int64 {
	total := int64(0)
	for _, kind := range e.Retentions() {
		total = min(total, math.MaxInt64-kind.Bytes) + kind.Bytes
	}
	return total
}

func (e *Engine) apply(*roomcast.Options) {}
