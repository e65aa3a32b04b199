/*
 * snow_ws.h: WebSocket rooms for programs in any language. Link with libroomcast.
 *
 * Connections join named rooms, anyone broadcasts to a room or to all but one member, and whoever disconnects is out of every room
 * at once. Rooms belong to the process: all ports that it serves share them.
 *
 * Calls     Every function may be called from any thread at any time, from inside a callback too. None waits for the network, save
 *           snow_ws_stop.
 *
 * Strings   A SnowString is UTF-8 and not terminated. What you pass is copied before the call returns and stays yours. What a
 *           callback is passed belongs to the library and lives until the callback returns. A string whose len is above INT32_MAX is
 *           taken for a mistake and refused like NULL.
 *
 * Handles   A connection is a handle: a number in the size of a pointer, never NULL, never an address, never used twice. It is live
 *           from on_connect until the connection begins to close, whoever closes it. From that instant on, before on_close is
 *           called and in it, every function that is to do something to the connection returns -1, and so it does for a forged
 *           handle: a handle is never dereferenced.
 *
 * Threads   Callbacks run on threads of the library. Those of one connection come one after the other, in the order on_connect,
 *           on_message for each message as it came, on_close; those of different connections run in parallel. A callback
 *           may block: that holds up its own connection alone, and a thread. It must return: no longjmp and no C++ exception out
 *           of it.
 *
 * Process   The library contains the Go runtime, which starts threads when the library is loaded.
 *           - fork: the child has no library; let it exec, or do nothing but _exit.
 *           - dlclose: does nothing; the library stays.
 *           - Signals: the runtime handles SIGSEGV, SIGBUS, SIGFPE, SIGPIPE and SIGURG and passes on those that are not its own.
 *             Install handlers with SA_ONSTACK (they may run on its threads, whose stacks are small), and none for SIGURG.
 *           - The end: when main returns, connections are lost without a close frame; call snow_ws_stop before.
 *
 * Limits    A message of a client: 16 MiB, then it is closed with 1009. What waits for one client: 1 MiB, then it is closed with
 *           1013. Rooms of one connection: 1,000. A room name: 1 to 255 bytes without control characters.
 *           Clients are pinged every 30 s and closed with 1001 after 10 s without an answer.
 *
 * Settings  Two come from the environment, which is read once, when the first function is called:
 *           ROOMCAST_HOST            the address to listen on, such as 127.0.0.1; by default every address of the machine
 *           ROOMCAST_ALLOWED_ORIGIN  browser origins that may connect besides the host itself, separated by commas, such as
 *                                    https://app.example.com or *.example.com; * for any; by default none
 *
 * A null callback accepts everybody: decide in on_connect who may come in.
 */
#ifndef SNOW_WS_H
#define SNOW_WS_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define SNOW_WS_VERSION "0.1.0"

/* A runtime that has this type already defines SNOW_STRING_DEFINED. */
#ifndef SNOW_STRING_DEFINED
#define SNOW_STRING_DEFINED
typedef struct {
	uint64_t len;   /* bytes in data */
	uint8_t data[]; /* UTF-8, not terminated */
} SnowString;
#endif

/* ---- Rooms ------------------------------------------------------------------------------------------------------------------ */

/*
 * snow_ws_join makes a connection a member of a room, which exists from its first member on. Every broadcast that starts after the
 * return reaches the connection. Joining twice is the same as once. In on_connect it counts before the client knows that it
 * is connected.
 * Returns 0; -1 for a null argument, a handle that is not live, a room name outside the limits, or one room too many.
 */
int64_t snow_ws_join(void *conn, const SnowString *room);

/*
 * snow_ws_leave ends a membership: no broadcast that starts after the return reaches the connection. Leaving a room that the
 * connection is not in does nothing.
 * Returns 0; -1 for a null argument or a handle that is not live.
 */
int64_t snow_ws_leave(void *conn, const SnowString *room);

/*
 * snow_ws_room_size counts the members of a room. It takes time and memory in proportion to them.
 * Returns their number; 0 if there is no such room; -1 for a null argument.
 */
int64_t snow_ws_room_size(const SnowString *room);

/* ---- Messages --------------------------------------------------------------------------------------------------------------- */

/*
 * snow_ws_broadcast sends a text message to every member of a room. All members see the broadcasts of a room in one order.
 * Returns how many members it could not be handed to, who are being closed for it with 1013, because more than the limit was waiting
 * for them; 0 = all have it, also if nobody is in the room. -1, and nothing is sent, for a null argument or a msg that is
 * not UTF-8.
 */
int64_t snow_ws_broadcast(const SnowString *room, const SnowString *msg);

/*
 * snow_ws_broadcast_except is snow_ws_broadcast without the one connection `except`, which need not be a member. NULL, or a
 * handle that is not live, leaves nobody out.
 */
int64_t snow_ws_broadcast_except(const SnowString *room, const SnowString *msg, void *except);

/*
 * snow_ws_broadcast_binary is snow_ws_broadcast with a binary message of any bytes. data may be NULL if len is 0.
 * Returns the same; -1 for a null argument or a len below 0 or above INT32_MAX.
 */
int64_t snow_ws_broadcast_binary(const SnowString *room, const uint8_t *data, int64_t len);

/*
 * snow_ws_send sends a text message to one connection.
 * Returns 0; -1, and nothing is sent, for a null argument, a handle that is not live, a msg that is not UTF-8, or a connection for
 * which more than the limit would wait: that one is being closed with 1013.
 */
int64_t snow_ws_send(void *conn, const SnowString *msg);

/*
 * snow_ws_send_binary is snow_ws_send with a binary message of any bytes. data may be NULL if len is 0.
 * Returns the same; -1 also for a len below 0 or above INT32_MAX.
 */
int64_t snow_ws_send_binary(void *conn, const uint8_t *data, int64_t len);

/*
 * snow_ws_close closes a connection with a code and a reason, after what has been sent to it before. The handle is stale when it
 * returns; on_close follows with the same code and reason. Messages that have come and were not handled are dropped.
 * code is one that may be sent (RFC 6455, section 7.4): 1000, 1001, 1003, 1007 to 1014, or 3000 to 4999. reason has at most 123
 * bytes of UTF-8; NULL is none.
 * Returns 0; -1, and nothing happens, for a handle that is not live or a code or reason that must not be sent.
 */
int64_t snow_ws_close(void *conn, int64_t code, const SnowString *reason);

/* ---- Callbacks -------------------------------------------------------------------------------------------------------------- */

/*
 * The functions that snow_ws_serve takes, cast to void *. Each comes with an env of your own: with a null env the function is called
 * without it, otherwise env is its first argument. A null function accepts, or ignores.
 *
 * on_connect decides about a client. path is the decoded path of its request, without the query; bytes that are not UTF-8 are
 * replaced by U+FFFD. headers is a handle for snow_ws_header, live until on_connect returns.
 * Returning NULL rejects the client: it is closed with 1008 "rejected". Anything else accepts it.
 *
 * on_message handles a message, text and binary alike. What it returns is ignored.
 *
 * on_close tells the end of every connection that on_connect was called for, rejected ones included, once and after everything else.
 * conn, which is stale already, says which one. code and reason are those of the first side that closed; 1005 if the client gave
 * none, 1006 if the connection was lost. What it returns is ignored.
 */
typedef void *(*snow_ws_on_connect_fn)(void *conn, SnowString *path, void *headers);
typedef void *(*snow_ws_on_message_fn)(void *conn, SnowString *msg);
typedef void *(*snow_ws_on_close_fn)(void *conn, int64_t code, SnowString *reason);
typedef void *(*snow_ws_on_connect_env_fn)(void *env, void *conn, SnowString *path, void *headers);
typedef void *(*snow_ws_on_message_env_fn)(void *env, void *conn, SnowString *msg);
typedef void *(*snow_ws_on_close_env_fn)(void *env, void *conn, int64_t code, SnowString *reason);

/*
 * snow_ws_header reads a header of the request that on_connect decides about. The case of name does not matter. Values of a header
 * that comes several times are joined by ", " (RFC 9110, section 5.3). ":path" is the request target as it was sent, with the query.
 * Bytes that are not UTF-8 are replaced by U+FFFD.
 * Returns a string that belongs to the library and lives until on_connect returns; NULL if there is no such header, for a
 * null argument, and for headers whose on_connect has returned.
 */
const SnowString *snow_ws_header(void *headers, const SnowString *name);

/* ---- Serving ---------------------------------------------------------------------------------------------------------------- */

/*
 * snow_ws_serve accepts WebSocket connections on a TCP port, in the background, from when it returns. Each port has callbacks of its
 * own; a process may serve several. The functions and what env points to must stay until snow_ws_stop has returned 0.
 * A port that cannot be served (it is in use, it is served already, it is not from 1 to 65535) prints one line to standard error,
 * and nothing is served.
 */
void snow_ws_serve(void *on_connect_fn, void *on_connect_env, void *on_message_fn, void *on_message_env,
                   void *on_close_fn, void *on_close_env, int64_t port);

/*
 * snow_ws_serve_tls is snow_ws_serve over TLS 1.2 or newer, with a certificate (with its chain) and a key in PEM files. They are read
 * before it returns; if that fails, the same happens as to a port that cannot be served.
 */
void snow_ws_serve_tls(void *on_connect_fn, void *on_connect_env, void *on_message_fn, void *on_message_env,
                       void *on_close_fn, void *on_close_env, int64_t port,
                       const SnowString *cert_path, const SnowString *key_path);

/*
 * snow_ws_stop ends the serving of one port. Nobody is let in any more, its clients are closed with 1001, and their on_close is waited
 * for, but not longer than timeout_ms. Clients that do not answer are cut off after 5 s. The port can be served anew.
 * Called from inside a callback it does not wait, since that callback could not end.
 * Returns for how many connections on_close has not returned yet, which goes on in the background; 0 = none is left, and no
 * callback of the port is called any more. -1 for a port that is not served or a timeout_ms below 0.
 */
int64_t snow_ws_stop(int64_t port, int64_t timeout_ms);

/*
 * snow_ws_version returns the version of the library, to be compared with SNOW_WS_VERSION, that of the header: the same first number
 * (before 1.0.0, the same first two) means that they go together. The string lives as long as the process.
 */
const SnowString *snow_ws_version(void);

#ifdef __cplusplus
}
#endif

#endif
