/* What a program must not do, to see that the sanitizers find it:  mistakes PORT keep|overrun|leak */
#include "kit.h"

static SnowString *kept;
static const char *mistake;
static pthread_mutex_t mu = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static int closed;
static volatile int sink;

static void *on_message(void *conn, SnowString *msg) {
	(void)conn;
	if (strcmp(mistake, "keep") == 0) kept = msg;
	if (strcmp(mistake, "overrun") == 0) sink = msg->data[msg->len]; /* there is no zero behind it */
	if (strcmp(mistake, "leak") == 0) {
		void *volatile lost = malloc(1000);
		lost = NULL;
		(void)lost;
	}
	return NULL;
}

static void *on_close(void *conn, int64_t code, SnowString *reason) {
	(void)conn, (void)code, (void)reason;
	pthread_mutex_lock(&mu);
	closed = 1;
	pthread_cond_broadcast(&changed);
	pthread_mutex_unlock(&mu);
	return NULL;
}

int main(int argc, char **argv) {
	assert(argc == 3);
	int port = atoi(argv[1]);
	mistake = argv[2];
	snow_ws_serve(NULL, NULL, (void *)on_message, NULL, (void *)on_close, NULL, port);
	int fd = join_path(port, "/");
	say(fd, "12345678");
	hang_up(fd, 1000, "");
	pthread_mutex_lock(&mu);
	until(closed, changed, mu);
	pthread_mutex_unlock(&mu);
	if (kept != NULL) sink = kept->data[0];
	return 0;
}
