/* What the C tests share: SnowStrings, a small WebSocket client, and waiting for what happens on other threads. */
#ifndef KIT_H
#define KIT_H

#include <arpa/inet.h>
#include <assert.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "snow_ws.h"

#ifdef NDEBUG
#error "the tests are their asserts"
#endif

/* S makes a SnowString of a string literal. */
#define S(text) ((const SnowString *)&(const struct { uint64_t len; uint8_t data[sizeof(text)]; }){sizeof(text) - 1, text})

static inline int equals(const SnowString *s, const char *text) {
	return s->len == strlen(text) && memcmp(s->data, text, s->len) == 0;
}

enum { PATIENCE_SECONDS = 30 }; /* for a single step; none comes near it unless something is broken */

/* until waits for condition, with mu held, and fails when it takes too long. Whoever changes something broadcasts changed. */
#define until(condition, changed, mu)                                        \
	do {                                                                     \
		struct timespec late;                                                \
		clock_gettime(CLOCK_REALTIME, &late);                                \
		late.tv_sec += PATIENCE_SECONDS;                                     \
		while (!(condition)) {                                               \
			int waited = pthread_cond_timedwait(&(changed), &(mu), &late);   \
			if (waited != 0) fprintf(stderr, "waited in vain for " #condition "\n"); \
			assert(waited == 0);                                             \
		}                                                                    \
	} while (0)

/* ---- A WebSocket client ---- */

enum { TEXT = 1, BINARY = 2, CLOSE = 8, PING = 9, PONG = 10, LOST = -1 };

struct frame {
	int opcode; /* or LOST */
	size_t len;
	char *data; /* for free() */
};

static inline int read_all(int fd, void *to, size_t len) {
	for (size_t done = 0; done < len;) {
		ssize_t n = recv(fd, (char *)to + done, len - done, 0);
		if (n <= 0) return 0;
		done += (size_t)n;
	}
	return 1;
}

static inline int write_all(int fd, const void *from, size_t len) {
	for (size_t done = 0; done < len;) {
		ssize_t n = send(fd, (const char *)from + done, len - done, MSG_NOSIGNAL);
		if (n <= 0) return 0;
		done += (size_t)n;
	}
	return 1;
}

/* dial connects to a port of this machine; buffer is the receive buffer of the socket, or 0 for the default. */
static inline int dial(int port, int buffer) {
	int fd = socket(AF_INET, SOCK_STREAM, 0), on = 1;
	assert(fd >= 0);
	struct timeval patience = {.tv_sec = PATIENCE_SECONDS};
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
	if (buffer > 0) setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &buffer, sizeof buffer);
	struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	if (connect(fd, (struct sockaddr *)&to, sizeof to) == 0) return fd;
	close(fd);
	return -1;
}

/* upgrade asks for path on a connection, with more header lines if there are any, and returns the status of the answer; 0 if none came. */
static inline int upgrade(int fd, const char *path, const char *more) {
	char text[2048];
	int n = snprintf(text, sizeof text,
	                 "GET %s HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
	                 "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n%s\r\n",
	                 path, more);
	if (!write_all(fd, text, (size_t)n)) return 0;
	size_t len = 0; /* byte by byte, to leave the frames behind it */
	while (len < 4 || memcmp(text + len - 4, "\r\n\r\n", 4) != 0)
		if (len == sizeof text || !read_all(fd, text + len++, 1)) return 0;
	int status = 0;
	return sscanf(text, "HTTP/1.1 %d", &status) == 1 ? status : 0;
}

/* join_path connects a client that must be accepted. */
static inline int join_path(int port, const char *path) {
	int fd = dial(port, 0);
	assert(fd >= 0);
	int status = upgrade(fd, path, "");
	assert(status == 101);
	return fd;
}

/* put sends a frame of at most 65,535 bytes, masked with zeros. */
static inline int put(int fd, int opcode, const void *data, size_t len) {
	unsigned char head[8] = {(unsigned char)(0x80 | opcode)};
	size_t n = 2;
	if (len < 126) {
		head[1] = (unsigned char)(0x80 | len);
	} else {
		head[1] = 0x80 | 126, head[2] = (unsigned char)(len >> 8), head[3] = (unsigned char)len;
		n = 4;
	}
	memset(head + n, 0, 4);
	return write_all(fd, head, n + 4) && write_all(fd, data, len);
}

static inline void say(int fd, const char *text) { assert(put(fd, TEXT, text, strlen(text))); }

/* get receives a frame. */
static inline struct frame get(int fd) {
	struct frame f = {LOST, 0, NULL};
	unsigned char head[10];
	if (!read_all(fd, head, 2)) return f;
	int more = head[1] == 126 ? 2 : head[1] == 127 ? 8 : 0;
	if (!read_all(fd, head + 2, (size_t)more)) return f;
	f.len = more == 0 ? head[1] : 0;
	for (int i = 0; i < more; i++) f.len = f.len << 8 | head[2 + i];
	f.data = malloc(f.len + 1);
	assert(f.data != NULL);
	f.data[f.len] = 0;
	f.opcode = head[0] & 0x0f;
	if (!read_all(fd, f.data, f.len)) f.opcode = LOST;
	return f;
}

static inline void expect_bytes(int fd, int opcode, const void *data, size_t len) {
	struct frame f = get(fd);
	if (f.opcode != opcode || f.len != len || memcmp(f.data, data, len) != 0)
		fprintf(stderr, "got opcode %d, %zu bytes %s; want opcode %d, %zu bytes %.*s\n", f.opcode, f.len, f.data, opcode, len, (int)len, (const char *)data);
	assert(f.opcode == opcode && f.len == len && memcmp(f.data, data, len) == 0);
	free(f.data);
}

static inline void expect(int fd, const char *text) { expect_bytes(fd, TEXT, text, strlen(text)); }

/* expect_close receives a close frame and hangs up. */
static inline void expect_close(int fd, int code, const char *reason) {
	char payload[128];
	payload[0] = (char)(code >> 8), payload[1] = (char)code;
	strcpy(payload + 2, reason);
	expect_bytes(fd, CLOSE, payload, 2 + strlen(reason));
	close(fd);
}

/* hang_up closes with a code and a reason, and waits for the answer. */
static inline void hang_up(int fd, int code, const char *reason) {
	char payload[128];
	payload[0] = (char)(code >> 8), payload[1] = (char)code;
	strcpy(payload + 2, reason);
	assert(put(fd, CLOSE, payload, 2 + strlen(reason)));
	expect_close(fd, code, reason);
}

#endif
