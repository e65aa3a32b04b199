/* The functions of snow_ws.h: they check what C can be asked for, and hand on numbers and bytes. A handle crosses as a number, because
 * Go must not take it for a pointer. */
#include "snow_ws.h"

#include "_cgo_export.h"
#include "callbacks.h"

static int given(const SnowString *s) { return s != NULL && s->len <= INT32_MAX; }

static int given_bytes(const uint8_t *data, int64_t len) { return len >= 0 && len <= INT32_MAX && (data != NULL || len == 0); }

/* A cast away of const: Go has none, and changes nothing. */
static uint8_t *bytes(const SnowString *s) { return (uint8_t *)s->data; }

int64_t snow_ws_join(void *conn, const SnowString *room) {
	if (!given(room)) return -1;
	return roomcastJoin((uintptr_t)conn, bytes(room), room->len);
}

int64_t snow_ws_leave(void *conn, const SnowString *room) {
	if (!given(room)) return -1;
	return roomcastLeave((uintptr_t)conn, bytes(room), room->len);
}

int64_t snow_ws_room_size(const SnowString *room) {
	if (!given(room)) return -1;
	return roomcastRoomSize(bytes(room), room->len);
}

int64_t snow_ws_broadcast(const SnowString *room, const SnowString *msg) { return snow_ws_broadcast_except(room, msg, NULL); }

int64_t snow_ws_broadcast_except(const SnowString *room, const SnowString *msg, void *except) {
	if (!given(room) || !given(msg)) return -1;
	return roomcastBroadcast(bytes(room), room->len, bytes(msg), msg->len, 0, (uintptr_t)except);
}

int64_t snow_ws_broadcast_binary(const SnowString *room, const uint8_t *data, int64_t len) {
	if (!given(room) || !given_bytes(data, len)) return -1;
	return roomcastBroadcast(bytes(room), room->len, (uint8_t *)data, (uint64_t)len, 1, 0);
}

int64_t snow_ws_send(void *conn, const SnowString *msg) {
	if (!given(msg)) return -1;
	return roomcastSend((uintptr_t)conn, bytes(msg), msg->len, 0);
}

int64_t snow_ws_send_binary(void *conn, const uint8_t *data, int64_t len) {
	if (!given_bytes(data, len)) return -1;
	return roomcastSend((uintptr_t)conn, (uint8_t *)data, (uint64_t)len, 1);
}

int64_t snow_ws_close(void *conn, int64_t code, const SnowString *reason) {
	if (reason == NULL) return roomcastClose((uintptr_t)conn, code, NULL, 0);
	if (!given(reason)) return -1;
	return roomcastClose((uintptr_t)conn, code, bytes(reason), reason->len);
}

const SnowString *snow_ws_header(void *headers, const SnowString *name) {
	if (!given(name)) return NULL;
	return roomcastHeader((uintptr_t)headers, bytes(name), name->len);
}

void snow_ws_serve(void *on_connect_fn, void *on_connect_env, void *on_message_fn, void *on_message_env,
                   void *on_close_fn, void *on_close_env, int64_t port) {
	roomcastServe((uintptr_t)on_connect_fn, (uintptr_t)on_connect_env, (uintptr_t)on_message_fn, (uintptr_t)on_message_env,
	             (uintptr_t)on_close_fn, (uintptr_t)on_close_env, port);
}

void snow_ws_serve_tls(void *on_connect_fn, void *on_connect_env, void *on_message_fn, void *on_message_env,
                       void *on_close_fn, void *on_close_env, int64_t port,
                       const SnowString *cert_path, const SnowString *key_path) {
	int named = given(cert_path) && given(key_path); /* if not, the empty names say so */
	roomcastServeTLS((uintptr_t)on_connect_fn, (uintptr_t)on_connect_env, (uintptr_t)on_message_fn, (uintptr_t)on_message_env,
	             (uintptr_t)on_close_fn, (uintptr_t)on_close_env, port,
	                 named ? bytes(cert_path) : NULL, named ? cert_path->len : 0,
	                 named ? bytes(key_path) : NULL, named ? key_path->len : 0);
}

int64_t snow_ws_stop(int64_t port, int64_t timeout_ms) {
	if (timeout_ms < 0) return -1;
	return roomcastStop(port, roomcast_in_callback() ? 0 : timeout_ms);
}

static const struct {
	uint64_t len;
	uint8_t data[sizeof SNOW_WS_VERSION];
} version = {sizeof SNOW_WS_VERSION - 1, SNOW_WS_VERSION};

const SnowString *snow_ws_version(void) { return (const SnowString *)&version; }
