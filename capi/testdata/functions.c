/* Every function about rooms, messages and connections: what it does, and what it refuses.  functions PORT */
#include "log.h"

static int port;

/* A string that says it is longer than anything can be. */
static const SnowString endless = {UINT64_MAX};

static void test_version(void) { assert(equals(snow_ws_version(), SNOW_WS_VERSION)); }

static void test_null(void) {
	int fd = join_path(port, "/alone/null");
	void *conn = client("/alone/null")->conn;
	const uint8_t byte = 0;
	assert(snow_ws_join(NULL, S("room")) == -1);
	assert(snow_ws_join(conn, NULL) == -1);
	assert(snow_ws_leave(NULL, S("room")) == -1);
	assert(snow_ws_leave(conn, NULL) == -1);
	assert(snow_ws_broadcast(NULL, S("message")) == -1);
	assert(snow_ws_broadcast(S("room"), NULL) == -1);
	assert(snow_ws_broadcast_except(NULL, S("message"), conn) == -1);
	assert(snow_ws_broadcast_except(S("room"), NULL, conn) == -1);
	assert(snow_ws_broadcast_binary(NULL, &byte, 1) == -1);
	assert(snow_ws_broadcast_binary(S("room"), NULL, 1) == -1);
	assert(snow_ws_send(NULL, S("message")) == -1);
	assert(snow_ws_send(conn, NULL) == -1);
	assert(snow_ws_send_binary(NULL, &byte, 1) == -1);
	assert(snow_ws_send_binary(conn, NULL, 1) == -1);
	assert(snow_ws_close(NULL, 1000, S("reason")) == -1);
	assert(snow_ws_header(NULL, S("Host")) == NULL);
	assert(snow_ws_room_size(NULL) == -1);
	hang_up(fd, 1000, "");
}

static void test_lengths(void) {
	int fd = join_path(port, "/alone/lengths");
	void *conn = client("/alone/lengths")->conn;
	const uint8_t byte = 0;
	assert(snow_ws_join(conn, &endless) == -1);
	assert(snow_ws_leave(conn, &endless) == -1);
	assert(snow_ws_broadcast(&endless, S("message")) == -1);
	assert(snow_ws_broadcast(S("room"), &endless) == -1);
	assert(snow_ws_send(conn, &endless) == -1);
	assert(snow_ws_close(conn, 1000, &endless) == -1);
	assert(snow_ws_room_size(&endless) == -1);
	assert(snow_ws_send_binary(conn, &byte, -1) == -1);
	assert(snow_ws_send_binary(conn, &byte, INT64_MIN) == -1);
	assert(snow_ws_send_binary(conn, &byte, INT64_MAX) == -1);
	assert(snow_ws_broadcast_binary(S("room"), &byte, -1) == -1);
	assert(snow_ws_broadcast_binary(S("room"), &byte, INT64_MAX) == -1);
	assert(snow_ws_send(conn, S("")) == 0);
	assert(snow_ws_send_binary(conn, NULL, 0) == 0);
	expect(fd, "");
	expect_bytes(fd, BINARY, "", 0);
	hang_up(fd, 1000, "");
}

static void test_join_and_leave(void) {
	int fd = join_path(port, "/alone/join");
	void *conn = client("/alone/join")->conn;
	assert(snow_ws_room_size(S("kitchen")) == 0);
	assert(snow_ws_broadcast(S("kitchen"), S("nobody hears this")) == 0);
	assert(snow_ws_join(conn, S("kitchen")) == 0);
	assert(snow_ws_join(conn, S("kitchen")) == 0); /* the same as once */
	assert(snow_ws_room_size(S("kitchen")) == 1);
	assert(snow_ws_broadcast(S("kitchen"), S("lunch")) == 0);
	assert(snow_ws_leave(conn, S("kitchen")) == 0);
	assert(snow_ws_leave(conn, S("kitchen")) == 0); /* does nothing */
	assert(snow_ws_room_size(S("kitchen")) == 0);
	assert(snow_ws_broadcast(S("kitchen"), S("too late")) == 0);
	assert(snow_ws_join(conn, S("")) == -1);
	assert(snow_ws_join(conn, S("a\nb")) == -1);
	assert(snow_ws_join(conn, S("\xff")) == -1);
	assert(snow_ws_send(conn, S("the end")) == 0);
	expect(fd, "lunch");
	expect(fd, "the end");
	hang_up(fd, 1000, "");
}

static void test_broadcast(void) {
	int a = join_path(port, "/cast"), b, stranger;
	void *first = client("/cast")->conn;
	b = join_path(port, "/cast");
	stranger = join_path(port, "/alone/stranger");
	assert(snow_ws_room_size(S("/cast")) == 2);
	assert(snow_ws_broadcast(S("/cast"), S("one")) == 0);
	assert(snow_ws_broadcast_except(S("/cast"), S("two"), first) == 0);
	assert(snow_ws_broadcast_except(S("/cast"), S("three"), NULL) == 0);
	assert(snow_ws_broadcast_except(S("/cast"), S("four"), client("/alone/stranger")->conn) == 0);
	assert(snow_ws_broadcast_except(S("/cast"), S("five"), (void *)&port) == 0); /* no handle at all */
	assert(snow_ws_broadcast(S("/cast"), S("\xc3\x28")) == -1);                 /* not UTF-8 */
	assert(snow_ws_broadcast_binary(S("/cast"), (const uint8_t *)"\xc3\x28\x00", 3) == 0);
	const char *for_a[] = {"one", "three", "four", "five"}, *for_b[] = {"one", "two", "three", "four", "five"};
	for (int i = 0; i < 4; i++) expect(a, for_a[i]);
	for (int i = 0; i < 5; i++) expect(b, for_b[i]);
	expect_bytes(a, BINARY, "\xc3\x28\x00", 3);
	expect_bytes(b, BINARY, "\xc3\x28\x00", 3);
	hang_up(a, 1000, "");
	await_close(note_of(first), 1000, "");
	assert(snow_ws_broadcast_except(S("/cast"), S("six"), first) == 0); /* stale: nobody is left out */
	expect(b, "six");
	hang_up(b, 1000, "");
	hang_up(stranger, 1000, "");
}

static void test_send(void) {
	int fd = join_path(port, "/alone/send");
	struct note *n = client("/alone/send");
	assert(snow_ws_send(n->conn, S("gr\xc3\xbc\xc3\x9f" "e")) == 0);
	assert(snow_ws_send(n->conn, S("\xff\xfe")) == -1); /* not UTF-8: never sent */
	assert(snow_ws_send_binary(n->conn, (const uint8_t *)"\xff\xfe", 2) == 0);
	expect(fd, "gr\xc3\xbc\xc3\x9f" "e");
	expect_bytes(fd, BINARY, "\xff\xfe", 2);
	say(fd, "hello");
	await_message(n, 1, "hello");
	assert(put(fd, BINARY, "bytes", 5));
	await_message(n, 2, "bytes");
	hang_up(fd, 1000, "");
}

static void test_close_by_client(void) {
	int fd = join_path(port, "/gone");
	struct note *n = client("/gone");
	hang_up(fd, 4001, "bye");
	await_close(n, 4001, "bye");
	assert(every_answer(n->conn) == ALL_REFUSED);
	assert(snow_ws_room_size(S("/gone")) == 0);

	fd = join_path(port, "/gone");
	n = client("/gone");
	assert(put(fd, CLOSE, "", 0));
	expect_bytes(fd, CLOSE, "", 0);
	close(fd);
	await_close(n, 1005, "");

	close(join_path(port, "/lost"));
	await_close(client("/lost"), 1006, "");
}

static void test_close_by_server(void) {
	int fd = join_path(port, "/closed");
	struct note *n = client("/closed");
	const int64_t bad[] = {-1, 0, 999, 1004, 1005, 1006, 1015, 2999, 5000, INT64_MAX, 1000 + (INT64_C(1) << 32)};
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) assert(snow_ws_close(n->conn, bad[i], S("")) == -1);
	assert(snow_ws_close(n->conn, 1000, S("\xff")) == -1);
	static const struct { uint64_t len; uint8_t data[124]; } long_reason = {124, {0}};
	assert(snow_ws_close(n->conn, 1000, (const SnowString *)&long_reason) == -1);
	assert(snow_ws_send(n->conn, S("before")) == 0);
	assert(snow_ws_close(n->conn, 4002, S("enough")) == 0);
	assert(every_answer(n->conn) == ALL_REFUSED); /* from this instant on */
	assert(snow_ws_broadcast(S("/closed"), S("after")) == 0);
	expect(fd, "before");
	expect_close(fd, 4002, "enough");
	await_close(n, 4002, "enough");
}

static void test_reject(void) {
	int fd = join_path(port, "/rejected"); /* it gets its 101 */
	struct note *n = client("/rejected");
	expect_close(fd, 1008, "rejected");
	await_close(n, 1008, "rejected");
	assert(snow_ws_room_size(S("/rejected")) == 0);
}

static void test_forged(void) {
	int fd = join_path(port, "/alone/forged");
	uintptr_t live = (uintptr_t)client("/alone/forged")->conn;
	for (uintptr_t h = 0; h < 4096; h++) assert(snow_ws_join((void *)h, S("forged")) == -1);
	for (int bit = 0; bit < (int)(8 * sizeof live); bit++) {
		void *forged = (void *)(live ^ (uintptr_t)1 << bit);
		int known = 0; /* another test's handle may be one bit away */
		for (int i = 0; i < noted; i++) known |= notes[i].conn == forged;
		assert(known || every_answer(forged) == ALL_REFUSED);
	}
	void *block = malloc(64);
	assert(every_answer(block) == ALL_REFUSED && every_answer(&live) == ALL_REFUSED && every_answer((void *)UINTPTR_MAX) == ALL_REFUSED);
	free(block);
	assert(snow_ws_header((void *)live, S("Host")) == NULL); /* of another kind */
	hang_up(fd, 1000, "");
}

/* A member that does not read: what waits for it reaches the bound, it counts as one failure, and is closed. */
static void test_stalled(void) {
	int stalled = dial(port, 4096), reads;
	assert(stalled >= 0 && upgrade(stalled, "/slow", "") == 101);
	struct note *n = client("/slow");
	reads = join_path(port, "/slow");
	const size_t len = 60000;
	SnowString *big = malloc(sizeof *big + len);
	assert(big != NULL);
	big->len = len;
	memset(big->data, 'x', len);
	int64_t failed = 0;
	for (int sent = 0; failed == 0; sent++) {
		assert(sent < 10000);
		failed = snow_ws_broadcast(S("/slow"), big);
		struct frame f = get(reads);
		assert(f.opcode == TEXT && f.len == len);
		free(f.data);
	}
	assert(failed == 1);
	assert(every_answer(n->conn) == ALL_REFUSED);
	assert(snow_ws_broadcast(S("/slow"), S("next")) == 0); /* it is closing, and no failure any more */
	expect(reads, "next");
	assert(snow_ws_room_size(S("/slow")) == 1);
	free(big);
	close(stalled);
	await_close(n, 1013, "too slow");
	hang_up(reads, 1000, "");
}

int main(int argc, char **argv) {
	assert(argc == 2);
	port = atoi(argv[1]);
	assert(snow_ws_broadcast(S("room"), S("before anything is served")) == 0);
	assert(every_answer((void *)&port) == ALL_REFUSED);
	serve_notes(port);
	test_version();
	test_null();
	test_lengths();
	test_join_and_leave();
	test_broadcast();
	test_send();
	test_close_by_client();
	test_close_by_server();
	test_reject();
	test_forged();
	test_stalled();
	assert(snow_ws_stop(port, 1000 * PATIENCE_SECONDS) == 0);
	puts("ok");
	return 0;
}
