/* A chat relay: whoever connects is in one room, and what one member sends goes to the others.
 *
 *   cc relay.c $(pkg-config --cflags --libs roomcast) -o relay && ./relay 9000
 */
#include <semaphore.h>
#include <signal.h>
#include <snow_ws.h>
#include <stdio.h>
#include <stdlib.h>

/* S makes a SnowString of a string literal. */
#define S(text) ((const SnowString *)&(const struct { uint64_t len; uint8_t data[sizeof(text)]; }){sizeof(text) - 1, text})

/* The room is the env of the callbacks. */
static void *on_connect(void *room, void *conn, SnowString *path, void *headers) {
	(void)path, (void)headers;                              /* here one would look at a cookie or a token */
	return snow_ws_join(conn, room) == 0 ? conn : NULL; /* null: rejected with 1008 */
}

static void *on_message(void *room, void *conn, SnowString *msg) {
	snow_ws_broadcast_except(room, msg, conn);
	return NULL;
}

static sem_t stop;

static void on_signal(int number) {
	(void)number;
	sem_post(&stop);
}

int main(int argc, char **argv) {
	int64_t port = argc > 1 ? atoll(argv[1]) : 9000;
	void *room = (void *)S("chat");

	/* A handler may run on a thread of the library, whose stack is small: hence SA_ONSTACK. */
	struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_ONSTACK};
	sem_init(&stop, 0, 0);
	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);

	snow_ws_serve((void *)on_connect, room, (void *)on_message, room, NULL, NULL, port);
	printf("Relaying on ws://127.0.0.1:%lld/. Ctrl-C stops.\n", (long long)port);
	fflush(stdout);
	while (sem_wait(&stop) != 0) continue; /* a signal has interrupted it */
	return snow_ws_stop(port, 5000) == 0 ? 0 : 1; /* closes every client with 1001 */
}
