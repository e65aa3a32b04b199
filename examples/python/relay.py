"""A chat relay: whoever connects is in one room, and what one member sends goes to the others.

    python3 relay.py 9000

Standard library only; libroomcast.so is found like any shared library (LD_LIBRARY_PATH, ldconfig).
"""

import signal
import struct
import sys
from ctypes import CDLL, CFUNCTYPE, c_int64, c_void_p, string_at

# The library's threads inherit the mask. Without it one of them may get the signal, and nothing wakes Python's own thread.
STOP = {signal.SIGINT, signal.SIGTERM}
signal.pthread_sigmask(signal.SIG_BLOCK, STOP)

ws = CDLL("libroomcast.so.0")
ws.snow_ws_join.argtypes = [c_void_p, c_void_p]
ws.snow_ws_join.restype = c_int64
ws.snow_ws_broadcast_except.argtypes = [c_void_p, c_void_p, c_void_p]
ws.snow_ws_broadcast_except.restype = c_int64
ws.snow_ws_stop.argtypes = [c_int64, c_int64]
ws.snow_ws_stop.restype = c_int64
ws.snow_ws_serve.argtypes = [c_void_p] * 6 + [c_int64]
ws.snow_ws_serve.restype = None


def snow(text):
    """Return a SnowString: the length, then the bytes. It has to be kept while C uses it."""
    data = text.encode()
    return struct.pack("=Q", len(data)) + data


def python(string):
    """Return the text of a SnowString."""
    (length,) = struct.unpack("=Q", string_at(string, 8))
    return string_at(string + 8, length).decode()


ROOM = snow("chat")


@CFUNCTYPE(c_void_p, c_void_p, c_void_p, c_void_p)
def on_connect(conn, path, headers):
    print("connected to", python(path), flush=True)
    return conn if ws.snow_ws_join(conn, ROOM) == 0 else None  # None: rejected with 1008


@CFUNCTYPE(c_void_p, c_void_p, c_void_p)
def on_message(conn, msg):
    ws.snow_ws_broadcast_except(ROOM, msg, conn)  # the bytes as they are
    return None


@CFUNCTYPE(c_void_p, c_void_p, c_int64, c_void_p)
def on_close(conn, code, reason):
    print("closed with", code, python(reason), flush=True)
    return None


def main():
    port = int(sys.argv[1]) if len(sys.argv) > 1 else 9000
    ws.snow_ws_serve(on_connect, None, on_message, None, on_close, None, port)
    print(f"Relaying on ws://127.0.0.1:{port}/. Ctrl-C stops.", flush=True)
    signal.sigwait(STOP)
    return 0 if ws.snow_ws_stop(port, 5000) == 0 else 1  # closes every client with 1001


if __name__ == "__main__":
    sys.exit(main())
