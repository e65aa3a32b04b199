/* How Go calls the functions that snow_ws_serve was given. */
#ifndef ROOMCAST_CALLBACKS_H
#define ROOMCAST_CALLBACKS_H

#include <stddef.h>
#include <stdint.h>

#include "snow_ws.h"

/* What a callback comes to. */
enum { ROOMCAST_NO = 0, ROOMCAST_YES = 1, ROOMCAST_NO_MEMORY = -1 };

/* Functions and envs cross as numbers, like handles: an env may be one. They return ROOMCAST_NO if on_connect returned NULL, ROOMCAST_NO_MEMORY if there is none for the string, else ROOMCAST_YES. */
int roomcast_on_connect(uintptr_t function, uintptr_t env, uintptr_t conn, const char *path, size_t len, uintptr_t headers);
int roomcast_on_message(uintptr_t function, uintptr_t env, uintptr_t conn, const uint8_t *msg, size_t len);
int roomcast_on_close(uintptr_t function, uintptr_t env, uintptr_t conn, int64_t code, const char *reason, size_t len);

/* roomcast_in_callback tells whether the calling thread is inside a callback. */
int roomcast_in_callback(void);

/* roomcast_string returns a copy for free(), or NULL if there is no memory. */
SnowString *roomcast_string(const void *data, size_t len);

#endif
