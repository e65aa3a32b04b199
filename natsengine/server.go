package natsengine

import (
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
)

// startTimeout is how long a server may take to accept connections once its data are read.
const startTimeout = 10 * time.Second

// reportEvery is which attempts in vain to reach a peer are told: the first, and then one in so many, which is one a minute. A peer that is down for
// a while is not to fill the log.
const reportEvery = 60

// serverPayload is the largest message: with room for one of 16 MiB, the largest that a Roomcast server takes unless told otherwise.
const serverPayload = 17 << 20

// ServerOptions is how a NATS server in this process runs.
type ServerOptions struct {
	// Dir is the folder of its data, which no other server may use. It is created if it is not there.
	Dir string

	// Name is what the other servers of a cluster know it by. It must stay the same, with the same Dir. Needed in a cluster.
	Name string

	// ClusterName is the same for all servers of a cluster. Zero means "roomcast".
	ClusterName string

	// ClusterListen is the address at which the other servers reach it, "0.0.0.0:6222" for instance. Zero means that it runs alone. What goes
	// between servers is not encrypted: the port belongs into a private network.
	ClusterListen string

	// Secret is what the servers of a cluster know, and nobody else: who does not is not let in. Zero means that everybody is who reaches the port.
	Secret string

	// Peers are the addresses at which it reaches the others. One is enough, since they tell each other the rest; all are better, since each of
	// them may be away.
	Peers []string

	// Listen is the address for NATS clients of other processes, who may do anything there. Zero means that there is none.
	Listen string

	// MaxStore is how many bytes the data may have. Zero means three quarters of the free space of the disk.
	MaxStore int64

	// Logger gets what the server has to say. Nil means nobody.
	Logger *slog.Logger
}

// Server is a NATS server in this process, alone or as a member of a cluster of such processes.
type Server struct {
	nats *server.Server
	lock *os.File // of Dir
	open bool     // clients of other processes may connect
	key  string   // what clients have to say if they may not

	caught atomic.Bool // it has what its cluster has, or had once: it begins with what is on its disk
}

// RunServer starts a server and returns when it accepts connections.
func RunServer(o ServerOptions) (*Server, error) {
	opts, err := o.check()
	if err != nil {
		return nil, err
	}
	lock, err := lockDir(o.Dir)
	if err != nil {
		return nil, err
	}
	s := &Server{lock: lock, open: o.Listen != "", key: opts.Authorization}
	log := &serverLog{logger: o.Logger}
	if s.nats, err = server.NewServer(opts); err != nil {
		lock.Close()
		return nil, fmt.Errorf("natsengine: NATS server: %w", err)
	}
	s.nats.SetLoggerV2(log, false, false, false)
	s.nats.Start()
	ready := log.fatal() == "" && s.nats.ReadyForConnections(startTimeout)
	if reason := log.fatal(); !ready || reason != "" {
		s.Close()
		if reason == "" {
			reason = fmt.Sprintf("it does not accept connections after %v", startTimeout)
		}
		return nil, fmt.Errorf("natsengine: the NATS server in this process does not start: %s", reason)
	}
	return s, nil
}

// Close ends the server. It has ended when Close returns.
func (s *Server) Close() {
	s.nats.Shutdown()
	s.nats.WaitForShutdown()
	s.lock.Close() // which unlocks it
}

// caughtUp is nil if this server has what its cluster has of the streams that it is to keep. Otherwise another server cannot go without harm.
func (s *Server) caughtUp(streams []string) error {
	if s.caught.Load() || !s.nats.JetStreamIsClustered() {
		return nil
	}
	if !s.nats.JetStreamIsCurrent() {
		return errors.New("the NATS server in this process is catching up with its cluster")
	}
	for _, stream := range streams {
		const account = server.DEFAULT_GLOBAL_ACCOUNT
		if s.nats.JetStreamIsStreamAssigned(account, stream) && !s.nats.JetStreamIsStreamCurrent(account, stream) {
			return fmt.Errorf("the NATS server in this process is catching up with stream %s", stream)
		}
	}
	s.caught.Store(true)
	return nil
}

// led reports whether the servers of the cluster have chosen one that leads, as far as this one knows. A server alone needs none.
func (s *Server) led() bool {
	info, err := s.nats.Jsz(nil)
	return err != nil || info.Meta == nil || info.Meta.Leader != ""
}

// ClientURL is the address for NATS clients of other processes, "" if there is none.
func (s *Server) ClientURL() string {
	addr, ok := s.nats.Addr().(*net.TCPAddr)
	if !ok || !s.open {
		return ""
	}
	return "nats://" + addr.String()
}

// inProcess makes a client connect to it without a port.
func (s *Server) inProcess() nats.Option {
	return func(o *nats.Options) error {
		o.Token = s.key
		return nats.InProcessServer(s.nats)(o)
	}
}

// check translates what makes sense.
func (o ServerOptions) check() (*server.Options, error) {
	if o.Dir == "" {
		return nil, errors.New("natsengine: ServerOptions.Dir is empty: name the folder in which the server keeps its data")
	}
	if o.MaxStore < 0 {
		return nil, fmt.Errorf("natsengine: ServerOptions.MaxStore is %d: it is a number of bytes, 0 for three quarters of what is free", o.MaxStore)
	}
	if strings.ContainsAny(o.Name+o.ClusterName, " \t\r\n.*>/\\") {
		return nil, fmt.Errorf("natsengine: ServerOptions.Name %q and ClusterName %q: neither may contain blanks, dots, slashes, * or >", o.Name, o.ClusterName)
	}
	opts := &server.Options{
		ServerName: o.Name, NoSigs: true, NoLog: true, DontListen: o.Listen == "",
		MaxPayload: serverPayload, JetStream: true, StoreDir: o.Dir, JetStreamMaxStore: o.MaxStore, DisableJetStreamBanner: true,
	}
	var err error
	if o.Listen != "" {
		if opts.Host, opts.Port, err = listenAddress("Listen", o.Listen); err != nil {
			return nil, err
		}
	}
	if err := o.checkCluster(opts); err != nil {
		return nil, err
	}
	return opts, nil
}

func (o ServerOptions) checkCluster(opts *server.Options) error {
	if o.ClusterListen == "" && len(o.Peers) == 0 {
		return nil
	}
	switch {
	case o.ClusterListen == "":
		return errors.New("natsengine: ServerOptions.Peers without ClusterListen: name the address at which the peers reach this server")
	case len(o.Peers) == 0:
		return errors.New("natsengine: ServerOptions.ClusterListen without Peers: name the addresses of the other servers of the cluster, on each of them")
	case o.Name == "":
		return errors.New("natsengine: ServerOptions.Peers without Name: a server of a cluster needs a name of its own that stays the same")
	}
	var err error
	if o.Listen == "" { // nats-server makes no routes before it listens for clients: it does so for nobody
		opts.DontListen, opts.Host, opts.Port, opts.Authorization = false, "127.0.0.1", server.RANDOM_PORT, rand.Text()
	}
	opts.ConnectErrorReports, opts.ReconnectErrorReports = reportEvery, reportEvery
	opts.Cluster.Name = o.ClusterName
	if o.ClusterName == "" {
		opts.Cluster.Name = "roomcast"
	}
	if opts.Cluster.Host, opts.Cluster.Port, err = listenAddress("ClusterListen", o.ClusterListen); err != nil {
		return err
	}
	for _, peer := range o.Peers {
		host, port, err := net.SplitHostPort(peer)
		if err != nil || host == "" || port == "" || strings.Contains(peer, "@") {
			return fmt.Errorf("natsengine: ServerOptions.Peers: %q is no host:port", peer)
		}
		route := &url.URL{Scheme: "nats-route", Host: peer}
		if o.Secret != "" {
			route.User = url.UserPassword("roomcast", o.Secret)
		}
		opts.Routes = append(opts.Routes, route)
	}
	if o.Secret != "" {
		opts.Cluster.Username, opts.Cluster.Password = "roomcast", o.Secret
	}
	return nil
}

// listenAddress finds out early, and says clearly, that one cannot listen there.
func listenAddress(option, addr string) (host string, port int, err error) {
	host, text, err := net.SplitHostPort(addr)
	if err == nil {
		port, err = strconv.Atoi(text)
	}
	if err != nil {
		return "", 0, fmt.Errorf("natsengine: ServerOptions.%s: %q is no host:port", option, addr)
	}
	if host == "" {
		host = "0.0.0.0"
	}
	if port == 0 {
		return host, server.RANDOM_PORT, nil
	}
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return "", 0, fmt.Errorf("natsengine: ServerOptions.%s: %w; name an address of this machine at which nobody else listens", option, err)
	}
	if err := l.Close(); err != nil {
		return "", 0, fmt.Errorf("natsengine: ServerOptions.%s: %w", option, err)
	}
	return host, port, nil
}
