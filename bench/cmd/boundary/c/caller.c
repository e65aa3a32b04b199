/* The caller in C: what gocaller.go does, through libroomcast.  caller PORT MEMBERS ROUNDS CALLS */
#include <pthread.h>
#include <snow_ws.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* S makes a SnowString of a string literal. */
#define S(text) ((const SnowString *)&(const struct { uint64_t len; uint8_t data[sizeof(text)]; }){sizeof(text) - 1, text})

static pthread_mutex_t mu = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static long heard; /* members that have joined or answered */

static void hear(void) {
	pthread_mutex_lock(&mu);
	heard++;
	pthread_cond_signal(&changed);
	pthread_mutex_unlock(&mu);
}

static void await(long members) {
	pthread_mutex_lock(&mu);
	while (heard < members) pthread_cond_wait(&changed, &mu);
	heard = 0;
	pthread_mutex_unlock(&mu);
}

static void *on_connect(void *conn, SnowString *path, void *headers) {
	(void)path, (void)headers;
	if (snow_ws_join(conn, S("full")) != 0) return NULL;
	hear();
	return conn;
}

static void *on_message(void *conn, SnowString *msg) {
	(void)conn, (void)msg;
	hear();
	return NULL;
}

static int by_size(const void *a, const void *b) {
	double x = *(const double *)a, y = *(const double *)b;
	return (x > y) - (x < y);
}

/* measure prints the median over the rounds of what a call takes of the thread's CPU time: what waits while the event loops have the
 * processors does not count. After each round, members answer a mark, so that none lags behind. */
static void measure(const char *name, const SnowString *room, long members, long rounds, long calls) {
	struct { uint64_t len; uint8_t data[128]; } msg = {128, {0}};
	memset(msg.data, 'x', 128);
	double *ns = malloc((size_t)rounds * sizeof *ns);
	if (ns == NULL) exit(1);
	for (long r = 0; r < rounds; r++) {
		struct timespec from, to;
		clock_gettime(CLOCK_THREAD_CPUTIME_ID, &from);
		for (long i = 0; i < calls; i++)
			if (snow_ws_broadcast(room, (const SnowString *)&msg) != 0) exit(1);
		clock_gettime(CLOCK_THREAD_CPUTIME_ID, &to);
		ns[r] = ((double)(to.tv_sec - from.tv_sec) * 1e9 + (double)(to.tv_nsec - from.tv_nsec)) / (double)calls;
		if (members > 0 && snow_ws_broadcast(room, S("m")) != 0) exit(1);
		await(members);
	}
	qsort(ns, (size_t)rounds, sizeof *ns, by_size);
	printf("%s %.1f\n", name, ns[rounds / 2]);
	fflush(stdout);
	free(ns);
}

int main(int argc, char **argv) {
	if (argc != 5) return 2;
	long members = atol(argv[2]), rounds = atol(argv[3]), calls = atol(argv[4]);
	snow_ws_serve((void *)on_connect, NULL, (void *)on_message, NULL, NULL, NULL, atoll(argv[1]));
	puts("ready");
	fflush(stdout);
	await(members);
	measure("empty", S("empty"), 0, rounds, 1000 * calls);
	measure("full", S("full"), members, rounds, calls);
	return 0;
}
