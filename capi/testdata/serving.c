/* Ports: callbacks with and without env, headers, several ports with one set of rooms, stopping, what cannot be served, and TLS.
 *
 *   serving PORT PORT TLSPORT CERT KEY
 *
 * Prints "tls" when a client is expected on TLSPORT, which has to send "hello", gets "hello over TLS" back and closes with 4003. */
#include "log.h"

static int port, second, tls_port;

/* ---- With an env ---- */

struct app {
	pthread_mutex_t mu;
	pthread_cond_t changed;
	int connects, messages, closes, met;
	int64_t code;
	void *conn;
	void *headers;       /* of the latest connect, stale by now */
	int64_t stopped;     /* what snow_ws_stop returned in on_message, if it was called */
	char fields[5][128]; /* what the headers said */
};

static struct app app = {.mu = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER, .stopped = -2};

static const char *const names[] = {"host", "X-COLOUR", "x-none", ":path", "x-twice"};

static void *app_connect(void *env, void *conn, SnowString *path, void *headers) {
	struct app *a = env;
	(void)path;
	pthread_mutex_lock(&a->mu);
	a->connects++;
	a->conn = conn;
	a->headers = headers;
	for (int i = 0; i < 5; i++) {
		struct { uint64_t len; char data[32]; } name = {strlen(names[i]), ""};
		strcpy(name.data, names[i]);
		const SnowString *value = snow_ws_header(headers, (const SnowString *)&name);
		strcpy(a->fields[i], "-");
		if (value != NULL) copy(a->fields[i], sizeof a->fields[i], value);
	}
	assert(snow_ws_header(headers, NULL) == NULL);
	assert(snow_ws_header(conn, S("Host")) == NULL);
	assert(snow_ws_join(headers, S("shared")) == -1);
	pthread_mutex_unlock(&a->mu);
	assert(snow_ws_join(conn, S("shared")) == 0);
	return conn;
}

/* every_function calls each from inside a callback, save snow_ws_stop. */
static void every_function(void *conn) {
	const uint8_t bytes[] = {0xff};
	assert(snow_ws_join(conn, S("within")) == 0);
	assert(snow_ws_room_size(S("within")) == 1);
	assert(snow_ws_broadcast(S("within"), S("1")) == 0);
	assert(snow_ws_broadcast_except(S("within"), S("not for you"), conn) == 0);
	assert(snow_ws_broadcast_binary(S("within"), bytes, 1) == 0);
	assert(snow_ws_send(conn, S("2")) == 0);
	assert(snow_ws_send_binary(conn, bytes, 1) == 0);
	assert(snow_ws_leave(conn, S("within")) == 0);
	assert(snow_ws_header(conn, S("Host")) == NULL);
	assert(equals(snow_ws_version(), SNOW_WS_VERSION));
	snow_ws_serve(NULL, NULL, NULL, NULL, NULL, NULL, tls_port);
	hang_up(join_path(tls_port, "/"), 1000, "");
	assert(snow_ws_close(conn, 4004, S("all of them")) == 0);
}

/* meet waits inside a callback until another connection is inside one. */
static void meet(struct app *a) {
	pthread_mutex_lock(&a->mu);
	a->met++;
	pthread_cond_broadcast(&a->changed);
	until(a->met == 2, a->changed, a->mu);
	pthread_mutex_unlock(&a->mu);
}

static void *app_message(void *env, void *conn, SnowString *msg) {
	struct app *a = env;
	if (equals(msg, "every function")) every_function(conn);
	if (equals(msg, "meet")) meet(a);
	int64_t stopped = -2;
	if (equals(msg, "stop")) stopped = snow_ws_stop(second, 1000 * PATIENCE_SECONDS); /* does not wait for itself */
	if (equals(msg, "hello")) assert(snow_ws_send(conn, S("hello over TLS")) == 0);
	pthread_mutex_lock(&a->mu);
	a->messages++;
	a->stopped = stopped;
	pthread_cond_broadcast(&a->changed);
	pthread_mutex_unlock(&a->mu);
	return NULL;
}

static void *app_close(void *env, void *conn, int64_t code, SnowString *reason) {
	struct app *a = env;
	(void)reason;
	assert(every_answer(conn) == ALL_REFUSED);
	pthread_mutex_lock(&a->mu);
	a->closes++;
	a->code = code;
	pthread_cond_broadcast(&a->changed);
	pthread_mutex_unlock(&a->mu);
	return NULL;
}

static void serve_app(void) {
	snow_ws_serve((void *)app_connect, &app, (void *)app_message, &app, (void *)app_close, &app, second);
}

static void await_closes(int closes, int64_t code) {
	pthread_mutex_lock(&app.mu);
	until(app.closes >= closes, app.changed, app.mu);
	assert(app.closes == closes && app.code == code);
	pthread_mutex_unlock(&app.mu);
}

/* ---- The tests ---- */

static void test_headers(void) {
	int fd = dial(second, 0);
	assert(upgrade(fd, "/a%20b?token=1", "X-Colour: blue \xff\r\nX-Twice: 1\r\nx-twice: 2\r\n") == 101);
	const char *want[] = {"localhost", "blue \xef\xbf\xbd", "-", "/a%20b?token=1", "1, 2"};
	for (int i = 0; i < 5; i++) {
		if (strcmp(app.fields[i], want[i]) != 0) fprintf(stderr, "header %s: %s, want %s\n", names[i], app.fields[i], want[i]);
		assert(strcmp(app.fields[i], want[i]) == 0);
	}
	assert(snow_ws_header(app.headers, S("Host")) == NULL); /* on_connect has returned */
	hang_up(fd, 4000, "");
	await_closes(1, 4000);
}

/* A browser on another site is kept out, unless ROOMCAST_ALLOWED_ORIGIN, which was set before the first call, names it. */
static void test_origins(void) {
	int fd = dial(port, 0);
	assert(upgrade(fd, "/alone/origin", "Origin: https://elsewhere.example\r\n") == 403);
	close(fd);
	fd = dial(port, 0);
	assert(upgrade(fd, "/alone/origin", "Origin: https://app.example\r\n") == 101);
	hang_up(fd, 1000, "");
}

static void test_paths(void) {
	hang_up(join_path(port, "/alone/gr%C3%BC%C3%9Fe?a=b"), 1000, "");
	client("/alone/gr\xc3\xbc\xc3\x9f" "e");
	hang_up(join_path(port, "/alone/%ff"), 1000, "");
	client("/alone/\xef\xbf\xbd");
}

static void test_two_ports_one_room(void) {
	int here = join_path(port, "/alone/shared"), there = join_path(second, "/");
	void *conn = client("/alone/shared")->conn;
	assert(snow_ws_join(conn, S("shared")) == 0);
	assert(snow_ws_room_size(S("shared")) == 2);
	assert(snow_ws_broadcast(S("shared"), S("to both")) == 0);
	assert(snow_ws_broadcast_except(S("shared"), S("there"), conn) == 0);
	expect(here, "to both");
	expect(there, "to both");
	expect(there, "there");
	hang_up(there, 4001, "");
	await_closes(2, 4001);
	hang_up(here, 1000, "");
}

/* Callbacks of different connections run in parallel. */
static void test_parallel(void) {
	int a = join_path(second, "/"), b = join_path(second, "/");
	say(a, "meet");
	say(b, "meet");
	hang_up(a, 4001, "");
	hang_up(b, 4001, "");
	await_closes(4, 4001);
}

static void test_within_a_callback(void) {
	int fd = join_path(second, "/");
	say(fd, "every function");
	expect(fd, "1");
	expect_bytes(fd, BINARY, "\xff", 1);
	expect(fd, "2");
	expect_bytes(fd, BINARY, "\xff", 1);
	expect_close(fd, 4004, "all of them");
	await_closes(5, 4004);
	assert(snow_ws_stop(tls_port, 1000 * PATIENCE_SECONDS) == 0);
}

static void test_stop(void) {
	assert(snow_ws_stop(second, 1000 * PATIENCE_SECONDS) == 0); /* nobody is on the way out of on_close any more */
	serve_app();
	int stays = join_path(port, "/stays"), goes = join_path(second, "/");
	assert(snow_ws_stop(second, -1) == -1); /* and nothing is stopped */
	say(goes, "hello");
	expect(goes, "hello over TLS");
	struct timespec from, to;
	clock_gettime(CLOCK_MONOTONIC, &from);
	assert(snow_ws_stop(second, 0) <= 1); /* does not wait */
	expect_close(goes, 1001, "server going away");
	await_closes(6, 1001);
	clock_gettime(CLOCK_MONOTONIC, &to);
	assert(to.tv_sec - from.tv_sec < 5);
	assert(snow_ws_stop(second, 0) == -1);
	assert(dial(second, 0) == -1);

	serve_app(); /* anew */
	goes = join_path(second, "/");
	say(goes, "stop"); /* from inside a callback */
	expect_close(goes, 1001, "server going away");
	await_closes(7, 1001);
	assert(app.stopped == 1); /* itself, at least */

	serve_app();
	goes = join_path(second, "/");
	assert(put(goes, CLOSE, "\x03\xe9", 2)); /* so that it does not have to be waited for */
	assert(snow_ws_stop(second, INT64_MAX) == 0);
	assert(app.closes == 8); /* it has returned */
	close(goes);

	assert(snow_ws_send(client("/stays")->conn, S("still here")) == 0);
	expect(stays, "still here");
	hang_up(stays, 1000, "");
}

/* What cannot be served: each prints one line, which the caller of this program counts, and is not there to be stopped. */
static void test_not_served(void) {
	const int64_t bad[] = {0, -1, 65536, INT64_MAX, INT64_MIN};
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		snow_ws_serve(NULL, NULL, NULL, NULL, NULL, NULL, bad[i]);
		assert(snow_ws_stop(bad[i], 0) == -1);
	}
	serve_notes(port); /* is served already; goes on as it was */
	hang_up(join_path(port, "/alone/again"), 1000, "");

	int taken = socket(AF_INET, SOCK_STREAM, 0), on = 1;
	setsockopt(taken, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
	struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons((uint16_t)second), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	assert(bind(taken, (struct sockaddr *)&at, sizeof at) == 0 && listen(taken, 1) == 0);
	serve_app();
	assert(snow_ws_stop(second, 0) == -1);
	close(taken);

	snow_ws_serve_tls(NULL, NULL, NULL, NULL, NULL, NULL, tls_port, S("no-such-cert.pem"), S("no-such-key.pem"));
	assert(snow_ws_stop(tls_port, 0) == -1);
	snow_ws_serve_tls(NULL, NULL, NULL, NULL, NULL, NULL, tls_port, NULL, NULL);
	assert(snow_ws_stop(tls_port, 0) == -1);
}

/* Null functions accept and ignore. */
static void test_no_callbacks(void) {
	snow_ws_serve(NULL, NULL, NULL, NULL, NULL, NULL, second);
	int fd = join_path(second, "/");
	say(fd, "into the void");
	hang_up(fd, 1000, "");
	assert(snow_ws_stop(second, 1000 * PATIENCE_SECONDS) == 0);
}

static SnowString *string(const char *text) {
	SnowString *s = malloc(sizeof *s + strlen(text));
	assert(s != NULL);
	s->len = strlen(text);
	memcpy(s->data, text, s->len);
	return s;
}

static void test_tls(const char *cert_path, const char *key_path) {
	SnowString *cert = string(cert_path), *key = string(key_path);
	snow_ws_serve_tls((void *)app_connect, &app, (void *)app_message, &app, (void *)app_close, &app, tls_port, cert, key);
	free(cert);
	free(key);
	int connects = app.connects;
	puts("tls");
	fflush(stdout);
	await_closes(9, 4003);
	assert(app.connects == connects + 1);
	assert(snow_ws_stop(tls_port, 1000 * PATIENCE_SECONDS) == 0);
}

int main(int argc, char **argv) {
	assert(argc == 6);
	port = atoi(argv[1]), second = atoi(argv[2]), tls_port = atoi(argv[3]);
	assert(setenv("ROOMCAST_HOST", "127.0.0.1", 1) == 0);
	assert(setenv("ROOMCAST_ALLOWED_ORIGIN", "https://app.example", 1) == 0);
	serve_notes(port);
	serve_app();
	test_headers();
	test_origins();
	test_paths();
	test_two_ports_one_room();
	test_parallel();
	test_within_a_callback();
	test_stop();
	test_not_served();
	test_no_callbacks();
	test_tls(argv[4], argv[5]);
	assert(snow_ws_stop(port, 1000 * PATIENCE_SECONDS) == 0);
	puts("ok");
	return 0;
}
