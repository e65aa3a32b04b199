/* Eight threads join, leave, broadcast, send and close against 500 connections, half of which come and go:  stress PORT SECONDS
 *
 * A call about a live connection never fails, one about an ended connection always does, callbacks of one connection never overlap, and
 * nothing reaches a client that was sent after its on_close. */
#include <stdatomic.h>

#include "kit.h"

enum { WORKERS = 8, CLIENTS = 500, STAYING = 250, ROOMS = 16, BURST = 200, MOST = 1 << 20 };

/* A connection, by the number in which it came. */
struct member {
	_Atomic(void *) conn; /* null until on_connect has begun */
	int client;
	atomic_int inside;   /* a callback is running */
	atomic_int leaving;  /* somebody has begun to close it, or is about to */
	atomic_int closed;   /* on_close has been called */
	atomic_llong ended;  /* the tick at which it was */
	long long newest;    /* the latest tick that the client received; its own thread's */
};

static struct member *members;
static atomic_int joined;                    /* members so far */
static _Atomic(struct member *) now[CLIENTS]; /* each client's latest connection */
static atomic_llong tick;                    /* what is sent carries one; it only grows */
static atomic_int done;
static atomic_llong calls, refused;
static int port;

static const SnowString *room(unsigned n) {
	static const struct { uint64_t len; uint8_t data[2]; } rooms[ROOMS] = {
	    {2, "00"}, {2, "01"}, {2, "02"}, {2, "03"}, {2, "04"}, {2, "05"}, {2, "06"}, {2, "07"},
	    {2, "08"}, {2, "09"}, {2, "10"}, {2, "11"}, {2, "12"}, {2, "13"}, {2, "14"}, {2, "15"}};
	return (const SnowString *)&rooms[n % ROOMS];
}

/* ---- The server's side ---- */

static struct member *member_of(void *env, void *conn) {
	(void)env;
	for (int i = atomic_load(&joined) - 1; i >= 0; i--)
		if (members[i].conn == conn) return &members[i];
	assert(!"a callback about an unknown connection");
	return NULL;
}

static void enter(struct member *m) { assert(atomic_exchange(&m->inside, 1) == 0); }
static void leave(struct member *m) { assert(atomic_exchange(&m->inside, 0) == 1); }

static void *on_connect(void *conn, SnowString *path, void *headers) {
	char text[32];
	(void)headers;
	assert(path->len == 4);
	memcpy(text, path->data + 1, 3), text[3] = 0;
	int client = atoi(text), serial = atomic_fetch_add(&joined, 1);
	assert(serial < MOST);
	struct member *m = &members[serial];
	enter(m);
	m->client = client;
	struct { uint64_t len; char data[24]; } hello;
	hello.len = (uint64_t)sprintf(hello.data, "i %d", serial);
	int64_t refusals = snow_ws_send(conn, (const SnowString *)&hello);
	if (client < STAYING) refusals += snow_ws_join(conn, S("staying"));
	for (unsigned i = 0; i < 4; i++) refusals += snow_ws_join(conn, room((unsigned)serial + i));
	assert(refusals == 0 || atomic_load(&done)); /* the end closes whoever has just come, too */
	atomic_store(&m->conn, conn); /* not before: a worker may close it as soon as it knows it */
	atomic_store(&now[client], m);
	leave(m);
	return conn;
}

/* Every staying client answers each mark of each worker: until all have, the worker waits, so that nobody lags far behind. */
static struct mark {
	pthread_mutex_t mu;
	pthread_cond_t changed;
	int answers;
} marks[WORKERS];

static void *on_message(void *conn, SnowString *msg) {
	(void)conn;
	assert(msg->len == 3);
	struct mark *k = &marks[msg->data[2] - '0'];
	pthread_mutex_lock(&k->mu);
	k->answers++;
	pthread_cond_signal(&k->changed);
	pthread_mutex_unlock(&k->mu);
	return NULL;
}

static void *on_close(void *conn, int64_t code, SnowString *reason) {
	struct member *m = member_of(NULL, conn);
	enter(m);
	if (code == 1013) fprintf(stderr, "a client lagged behind: %.*s\n", (int)reason->len, (const char *)reason->data);
	assert(code != 1013);
	assert(atomic_exchange(&m->closed, 1) == 0);
	atomic_store(&m->ended, atomic_load(&tick));
	assert(snow_ws_join(conn, room(0)) == -1);
	leave(m);
	return NULL;
}

/* ---- The workers ---- */

/* judge looks at the answer of a call about m, made after closed was read. */
static void judge(struct member *m, int closed, int64_t answer) {
	atomic_fetch_add(&calls, 1);
	if (closed) assert(answer == -1);
	if (answer == 0) return;
	assert(answer == -1 && atomic_load(&m->leaving)); /* never for a live handle */
	atomic_fetch_add(&refused, 1);
}

static void one_call(unsigned *seed) {
	struct member *m = atomic_load(&now[(unsigned)rand_r(seed) % CLIENTS]);
	if (rand_r(seed) % 16 == 0) m = &members[(unsigned)rand_r(seed) % (unsigned)atomic_load(&joined)]; /* most likely gone */
	if (m == NULL || m->conn == NULL) return;
	int closed = atomic_load(&m->closed);
	struct { uint64_t len; char data[24]; } text;
	text.len = (uint64_t)sprintf(text.data, "t %lld", atomic_fetch_add(&tick, 1) + 1);
	const SnowString *msg = (const SnowString *)&text, *where = room((unsigned)rand_r(seed));
	switch (rand_r(seed) % 8) {
	case 0: case 1: judge(m, closed, snow_ws_join(m->conn, where)); break;
	case 2: case 3: judge(m, closed, snow_ws_leave(m->conn, where)); break;
	case 4: judge(m, closed, snow_ws_send(m->conn, msg)); break;
	case 5: assert(snow_ws_broadcast(where, msg) == 0); break;
	case 6: assert(snow_ws_broadcast_except(where, msg, m->conn) == 0); break;
	case 7:
		if (m->client < STAYING || rand_r(seed) % 16 != 0) break;
		atomic_store(&m->leaving, 1);
		judge(m, closed, snow_ws_close(m->conn, 4000, NULL));
		assert(snow_ws_send(m->conn, msg) == -1);
	}
}

static struct timespec deadline;

static int over(void) {
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec > deadline.tv_sec || (t.tv_sec == deadline.tv_sec && t.tv_nsec >= deadline.tv_nsec);
}

static void *work(void *arg) {
	struct mark *k = arg;
	unsigned number = (unsigned)(k - marks), seed = number + 1;
	struct { uint64_t len; char data[4]; } mark = {3, {'m', ' ', (char)('0' + number)}};
	while (!over()) {
		for (int i = 0; i < BURST; i++) one_call(&seed);
		assert(snow_ws_broadcast(S("staying"), (const SnowString *)&mark) == 0);
		pthread_mutex_lock(&k->mu);
		until(k->answers == STAYING, k->changed, k->mu);
		k->answers = 0;
		pthread_mutex_unlock(&k->mu);
	}
	return NULL;
}

/* ---- The clients ---- */

/* receive handles what comes, up to a number of frames, and reports whether the connection is still there. */
static int receive(int fd, struct member *m, int frames) {
	for (int closing = 0; frames > 0; frames--) {
		struct frame f = get(fd);
		if (f.opcode == TEXT) assert(!closing); /* nothing follows a close frame */
		if (f.opcode == TEXT && f.data[0] == 't') {
			long long t = atoll(f.data + 2);
			if (t > m->newest) m->newest = t;
		}
		if (f.opcode == TEXT && f.data[0] == 'm' && m->client < STAYING) put(fd, TEXT, f.data, f.len);
		if (f.opcode == CLOSE) closing = 1, put(fd, CLOSE, f.data, f.len);
		free(f.data);
		if (f.opcode == LOST) return 0;
	}
	return 1;
}

static void *come_and_go(void *arg) {
	int number = (int)(intptr_t)arg;
	unsigned seed = (unsigned)number + 1000;
	char path[8];
	sprintf(path, "/%03d", number);
	while (!atomic_load(&done)) {
		int fd = dial(port, 0);
		struct linger abort = {1, 0}; /* no port is kept for a connection that has gone */
		setsockopt(fd, SOL_SOCKET, SO_LINGER, &abort, sizeof abort);
		if (fd < 0 || upgrade(fd, path, "") != 101) {
			assert(atomic_load(&done));
			if (fd >= 0) close(fd);
			break;
		}
		struct frame hello = get(fd);
		assert(hello.opcode == TEXT || atomic_load(&done));
		if (hello.opcode != TEXT) {
			free(hello.data);
			close(fd);
			break;
		}
		struct member *m = &members[atoi(hello.data + 2)];
		free(hello.data);
		int frames = number < STAYING ? 1 << 30 : 20 + rand_r(&seed) % 100;
		if (receive(fd, m, frames)) {
			atomic_store(&m->leaving, 1);
			if (rand_r(&seed) % 2 && put(fd, CLOSE, "\x03\xe8", 2)) receive(fd, m, 1 << 30);
		} else {
			assert(atomic_load(&m->leaving) || atomic_load(&done));
		}
		close(fd);
	}
	return NULL;
}

int main(int argc, char **argv) {
	assert(argc == 3);
	port = atoi(argv[1]);
	members = calloc(MOST, sizeof *members);
	assert(members != NULL);
	for (int i = 0; i < WORKERS; i++) {
		pthread_mutex_init(&marks[i].mu, NULL);
		pthread_cond_init(&marks[i].changed, NULL);
	}
	snow_ws_serve((void *)on_connect, NULL, (void *)on_message, NULL, (void *)on_close, NULL, port);

	pthread_t clients[CLIENTS], workers[WORKERS];
	pthread_attr_t small;
	pthread_attr_init(&small);
	pthread_attr_setstacksize(&small, 256 << 10);
	for (intptr_t i = 0; i < CLIENTS; i++) assert(pthread_create(&clients[i], &small, come_and_go, (void *)i) == 0);
	pthread_attr_destroy(&small);
	for (int i = 0; i < STAYING; i++)
		while (atomic_load(&now[i]) == NULL) sched_yield();
	clock_gettime(CLOCK_MONOTONIC, &deadline);
	deadline.tv_sec += atoi(argv[2]);
	for (int i = 0; i < WORKERS; i++) assert(pthread_create(&workers[i], NULL, work, &marks[i]) == 0);
	for (int i = 0; i < WORKERS; i++) pthread_join(workers[i], NULL);
	atomic_store(&done, 1);
	assert(snow_ws_stop(port, 1000 * PATIENCE_SECONDS) == 0);
	for (int i = 0; i < CLIENTS; i++) pthread_join(clients[i], NULL);

	int all = atomic_load(&joined);
	for (int i = 0; i < all; i++) {
		assert(members[i].closed);
		assert(members[i].newest <= members[i].ended); /* nothing was sent after on_close */
	}
	for (unsigned i = 0; i < ROOMS; i++) assert(snow_ws_room_size(room(i)) == 0);
	printf("ok: %d connections, %lld calls about one, %lld of them too late\n", all, calls, refused);
	free(members);
	return 0;
}
