package main

import "strconv"

// scenario is one question, put to every server in turn.
type scenario struct {
	id    string // on the command line and in results.json
	title string
	about string // one paragraph above the table
	runs  []run  // in most cases one
	ladder
	buffer  int // places in a relay's channel, where 256 are too few
	columns []column
	order   string // the field by which the table is sorted, best first
	higher  bool   // more of it is better
	calm    bool   // its figures do not depend on what else the machine does
}

// run is one call of the generator.
type run struct {
	key           string // "" or what tells it from the scenario's other runs
	args          string
	seconds, warm float64
}

// ladder names the figures of fanlimit that belong beside a scenario: what the kernel alone costs at some numbers of frames per send.
// Scenarios with the same key share them.
type ladder struct {
	key     string
	args    string
	batches []int
}

// command is the generator's command line; seconds and warm replace the run's own if they are not negative.
func (r run) command(s server, seconds, warm float64) string {
	if seconds < 0 {
		seconds = r.seconds
	}
	if warm < 0 {
		warm = r.warm
	}
	args := r.args + " -d " + strconv.FormatFloat(seconds, 'g', -1, 64) + " -W " + strconv.FormatFloat(warm, 'g', -1, 64)
	if s.proto != "" {
		args += " --proto " + s.proto
	}
	return args
}

var (
	oneRoom   = ladder{"one room", "-c 1000 -z 128", []int{1, 2, 4, 8, 16, 32, 64, 128, 256}}
	coldRoom  = ladder{"one room, at rest between rounds", "-c 1000 -z 128 --lockstep", []int{1, 2}}
	manyRooms = ladder{"10,000 connections", "-c 10000 -z 128", []int{1, 2, 4, 8}}
)

// Columns that several tables have.
var (
	perSecond = column{"deliveries/s", field("deliveries_per_s"), count}
	cpu       = column{"CPU per delivery", field(cpuField), nanoseconds}
	batch     = column{"frames per read", field("deliveries_per_read"), plain}
	p50       = column{"latency p50", field("lat_p50_us"), microseconds}
	p99       = column{"p99", field("lat_p99_us"), microseconds}
	lost      = column{"lost", field("missing"), whole}
)

// cpuField is the server's own CPU time per frame that left it, those to senders included.
const cpuField = "server_cpu_ns_per_delivery_all"

var scenarios = []scenario{
	{
		id:    "a",
		title: "One room of 1,000, 32 messages on the way",
		about: "4 senders keep 8 messages of 128 bytes each on the way (closed loop): as many deliveries as the server can do on one processor.",
		runs:  []run{{args: "-c 1000 -s 4 -w 8 -z 128", seconds: 5, warm: 2}}, ladder: oneRoom,
		columns: []column{perSecond, ratio("deliveries_per_s"), cpu, batch, limit(), overLimit(), p50, p99, lost},
		order:   "deliveries_per_s", higher: true,
	},
	{
		id:    "b",
		title: "The same room overloaded, 256 messages on the way",
		about: "16 senders keep 16 messages each on the way. Relays with a channel per member have 1,024 places in it here: with the usual 256 they lose members.",
		runs:  []run{{args: "-c 1000 -s 16 -w 16 -z 128", seconds: 5, warm: 2}}, ladder: oneRoom, buffer: 1024,
		columns: []column{perSecond, ratio("deliveries_per_s"), cpu, batch, limit(), overLimit(), p50, p99, lost},
		order:   "deliveries_per_s", higher: true,
	},
	{
		id:    "c",
		title: "The same room at 40 broadcasts a second",
		about: "A fixed rate far below what any of them can do; there is hardly anything to gather into one send. Latency counts from the moment at which the message was due.",
		runs:  []run{{args: "-c 1000 -s 4 -R 40 -z 128", seconds: 10, warm: 2}}, ladder: coldRoom,
		columns: []column{cpu, ratio(cpuField), p50, ratio("lat_p50_us"), p99, ratio("lat_p99_us"), batch, limit(), overLimit(), lost},
		order:   cpuField,
	},
	{
		id:    "d",
		title: "1,000 rooms of 10, every one busy",
		about: "10,000 receivers in 1,000 rooms; each room has a sender besides, that sends the next message as soon as the last has arrived.",
		runs:  []run{{args: "-c 10000 -r 1000 -s 1000 -w 1 -z 128", seconds: 5, warm: 3}}, ladder: manyRooms,
		columns: []column{cpu, ratio(cpuField), perSecond, ratio("deliveries_per_s"), batch, limit(), overLimit(), p50, p99, lost},
		order:   cpuField,
	},
	{
		id:    "e",
		title: "Idle memory at 15,000 connections",
		about: "Memory of the process (RSS) that each connection adds; the kernel's socket memory is not in it. Plain TCP; every connection is in one room.",
		runs:  []run{{args: "-c 15000 --mode idle", seconds: 3}},
		columns: []column{{"bytes per connection", field("rss_per_conn"), bytes1024}, ratio("rss_per_conn"),
			{"process before", field("rss_before"), bytes1024}, {"and with 15,000", field("rss_end"), bytes1024}},
		order: "rss_per_conn", calm: true,
	},
	{
		id:    "f",
		title: "Handshakes",
		about: "64 clients connect, upgrade, say goodbye (Close), and begin again. The CPU time is that of the whole cycle, with centrifuge and Socket.IO that of their own greeting too.",
		runs:  []run{{args: "--mode connect", seconds: 5, warm: 2}},
		columns: []column{{"CPU per cycle", field("server_cpu_us_per_handshake"), microseconds}, ratio("server_cpu_us_per_handshake"),
			{"handshakes/s", field("handshakes_per_s"), count}, {"p99", field("lat_p99_us"), microseconds}, {"failed", field("failed"), whole}},
		order: "server_cpu_us_per_handshake",
	},
	{
		id:    "g",
		title: "5 % of the members stalled",
		about: "The room of scenario a with 8,000-byte messages, so that the kernel's buffers for the stalled ones are soon full; 50 of the 1,000 never read. What the others get, and how far memory grows, against the same without stalled members.",
		runs: []run{
			{key: "none", args: "-c 1000 -s 4 -w 8 -z 8000 --mode slow --stalled 0", seconds: 5, warm: 5},
			{key: "stalled", args: "-c 1000 -s 4 -w 8 -z 8000 --mode slow --stalled 0.05", seconds: 5, warm: 5},
		},
		columns: []column{
			{"deliveries/s, none stalled", runField("none", "deliveries_per_s"), count}, {"5 % stalled", runField("stalled", "deliveries_per_s"), count},
			{"kept", kept, percent},
			{"CPU per delivery, none stalled", runField("none", cpuField), nanoseconds}, {"5 % stalled", runField("stalled", cpuField), nanoseconds},
			{"memory grows by, none stalled", growth("none"), bytes1024}, {"5 % stalled", growth("stalled"), bytes1024},
			{"stalled ones cut off", runField("stalled", "stalled_closed"), whole}, {"lost by others", runField("stalled", "missing"), whole},
		},
		order: "deliveries_per_s", higher: true,
	},
}

func scenarioNamed(id string) (scenario, bool) {
	for _, s := range scenarios {
		if s.id == id {
			return s, true
		}
	}
	return scenario{}, false
}
