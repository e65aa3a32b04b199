#include "callbacks.h"

#include <stdlib.h>
#include <string.h>

/* A callback stays on its thread from beginning to end, and never has another one inside it. */
static _Thread_local int inside;

int roomcast_in_callback(void) { return inside; }

/* Strings come from malloc, not from Go's memory, so that the tools of C programmers see one that is kept too long. */
SnowString *roomcast_string(const void *data, size_t len) {
	SnowString *s = malloc(sizeof *s + len);
	if (s == NULL) return NULL;
	s->len = len;
	if (len > 0) memcpy(s->data, data, len);
	return s;
}

int roomcast_on_connect(uintptr_t function, uintptr_t env, uintptr_t conn, const char *path, size_t len, uintptr_t headers) {
	SnowString *s = roomcast_string(path, len);
	if (s == NULL) return ROOMCAST_NO_MEMORY;
	void *accepted;
	inside = 1;
	if (env != 0)
		accepted = ((snow_ws_on_connect_env_fn)function)((void *)env, (void *)conn, s, (void *)headers);
	else
		accepted = ((snow_ws_on_connect_fn)function)((void *)conn, s, (void *)headers);
	inside = 0;
	free(s);
	return accepted != NULL ? ROOMCAST_YES : ROOMCAST_NO;
}

int roomcast_on_message(uintptr_t function, uintptr_t env, uintptr_t conn, const uint8_t *msg, size_t len) {
	SnowString *s = roomcast_string(msg, len);
	if (s == NULL) return ROOMCAST_NO_MEMORY;
	inside = 1;
	if (env != 0)
		((snow_ws_on_message_env_fn)function)((void *)env, (void *)conn, s);
	else
		((snow_ws_on_message_fn)function)((void *)conn, s);
	inside = 0;
	free(s);
	return ROOMCAST_YES;
}

int roomcast_on_close(uintptr_t function, uintptr_t env, uintptr_t conn, int64_t code, const char *reason, size_t len) {
	SnowString *s = roomcast_string(reason, len);
	if (s == NULL) return ROOMCAST_NO_MEMORY;
	inside = 1;
	if (env != 0)
		((snow_ws_on_close_env_fn)function)((void *)env, (void *)conn, code, s);
	else
		((snow_ws_on_close_fn)function)((void *)conn, code, s);
	inside = 0;
	free(s);
	return ROOMCAST_YES;
}
