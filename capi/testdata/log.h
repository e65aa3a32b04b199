/* Callbacks that note what they are told. The path of a client names it; it joins the room of that name, unless it begins with /alone. */
#ifndef LOG_H
#define LOG_H

#include "kit.h"

struct note {
	void *conn;
	char path[64];
	char message[64]; /* the latest */
	int messages, closes;
	int64_t code;
	char reason[128];
	int64_t answers; /* of all functions about conn, called in on_close, added up */
};

static pthread_mutex_t log_mu = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t log_changed = PTHREAD_COND_INITIALIZER;
static struct note notes[64];
static int noted;

static inline void copy(char *to, size_t size, const SnowString *s) {
	assert(s->len < size);
	memcpy(to, s->data, s->len);
	to[s->len] = 0;
}

static inline struct note *note_of(void *conn) {
	for (int i = 0; i < noted; i++)
		if (notes[i].conn == conn) return &notes[i];
	assert(!"a callback about an unknown connection");
	return NULL;
}

/* Every function that takes a connection says -1 about conn. */
static inline int64_t every_answer(void *conn) {
	return snow_ws_join(conn, S("lobby")) + snow_ws_leave(conn, S("lobby")) + snow_ws_send(conn, S("too late")) +
	       snow_ws_send_binary(conn, (const uint8_t *)"too late", 8) + snow_ws_close(conn, 1000, NULL);
}

enum { ALL_REFUSED = -5 };

static inline void *note_connect(void *conn, SnowString *path, void *headers) {
	(void)headers;
	pthread_mutex_lock(&log_mu);
	assert(noted < (int)(sizeof notes / sizeof *notes));
	struct note *n = &notes[noted++];
	n->conn = conn;
	copy(n->path, sizeof n->path, path);
	pthread_mutex_unlock(&log_mu);
	if (strncmp(n->path, "/alone", 6) != 0) assert(snow_ws_join(conn, path) == 0);
	return strncmp(n->path, "/rejected", 9) == 0 ? NULL : conn;
}

static inline void *note_message(void *conn, SnowString *msg) {
	pthread_mutex_lock(&log_mu);
	struct note *n = note_of(conn);
	assert(n->closes == 0);
	copy(n->message, sizeof n->message, msg);
	n->messages++;
	pthread_cond_broadcast(&log_changed);
	pthread_mutex_unlock(&log_mu);
	return NULL;
}

static inline void *note_close(void *conn, int64_t code, SnowString *reason) {
	int64_t answers = every_answer(conn);
	pthread_mutex_lock(&log_mu);
	struct note *n = note_of(conn);
	n->answers = answers;
	n->code = code;
	copy(n->reason, sizeof n->reason, reason);
	n->closes++;
	pthread_cond_broadcast(&log_changed);
	pthread_mutex_unlock(&log_mu);
	return NULL;
}

/* client returns the handle of the latest client of that path. It is there as soon as the client is connected. */
static inline struct note *client(const char *path) {
	struct note *found = NULL;
	pthread_mutex_lock(&log_mu);
	for (int i = 0; i < noted; i++)
		if (strcmp(notes[i].path, path) == 0) found = &notes[i];
	pthread_mutex_unlock(&log_mu);
	assert(found != NULL);
	return found;
}

static inline void await_close(struct note *n, int64_t code, const char *reason) {
	pthread_mutex_lock(&log_mu);
	until(n->closes > 0, log_changed, log_mu);
	if (n->code != code || strcmp(n->reason, reason) != 0)
		fprintf(stderr, "%s: on_close was told %d %s, want %d %s\n", n->path, (int)n->code, n->reason, (int)code, reason);
	assert(n->closes == 1 && n->code == code && strcmp(n->reason, reason) == 0);
	assert(n->answers == ALL_REFUSED);
	pthread_mutex_unlock(&log_mu);
}

static inline void await_message(struct note *n, int messages, const char *text) {
	pthread_mutex_lock(&log_mu);
	until(n->messages >= messages, log_changed, log_mu);
	assert(n->messages == messages && strcmp(n->message, text) == 0);
	pthread_mutex_unlock(&log_mu);
}

/* serve_notes serves a port with the callbacks above. */
static inline void serve_notes(int port) {
	snow_ws_serve((void *)note_connect, NULL, (void *)note_message, NULL, (void *)note_close, NULL, port);
}

#endif
