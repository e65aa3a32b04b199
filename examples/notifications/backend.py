"""A backend that sends notifications to its users. Type "ann your parcel has arrived".

    ROOMCAST_TOKEN_SECRET=… ROOMCAST_API_KEY=… python3 backend.py

Standard library only. It gives clients tokens at http://127.0.0.1:3000/token?user=ann.
"""

import base64
import hashlib
import hmac
import json
import os
import sys
import threading
import time
import urllib.parse
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

ROOMCAST = os.environ.get("ROOMCAST_URL", "http://127.0.0.1:8080")
SECRET = os.environ["ROOMCAST_TOKEN_SECRET"].encode()
API_KEY = os.environ["ROOMCAST_API_KEY"]


def token(user):
    """A JWT for a user, good for five minutes: clients fetch a fresh one in time."""
    def part(data):
        return base64.urlsafe_b64encode(data).rstrip(b"=")
    now = int(time.time())
    claims = {"sub": user, "iat": now, "exp": now + 300}
    signed = part(b'{"alg":"HS256","typ":"JWT"}') + b"." + part(json.dumps(claims).encode())
    return signed + b"." + part(hmac.digest(SECRET, signed, hashlib.sha256))


def notify(user, text):
    """Send to every connection of a user; return how many there are."""
    url = f"{ROOMCAST}/v1/users/{urllib.parse.quote(user, safe='')}/messages"
    body = json.dumps({"data": {"text": text}}).encode()
    headers = {"Authorization": f"Bearer {API_KEY}", "Content-Type": "application/json"}
    with urllib.request.urlopen(urllib.request.Request(url, body, headers), timeout=5) as answer:
        return json.load(answer)["delivered"]


class Tokens(BaseHTTPRequestHandler):
    def do_GET(self):
        url = urllib.parse.urlparse(self.path)
        user = urllib.parse.parse_qs(url.query).get("user", [""])[0]
        if url.path != "/token" or not user:
            return self.send_error(404)
        self.send_response(200)  # in earnest: for whoever is logged in, not for whoever is named
        self.end_headers()
        self.wfile.write(token(user))

    def log_message(self, *args):
        pass


def main():
    server = ThreadingHTTPServer(("127.0.0.1", int(os.environ.get("PORT", "3000"))), Tokens)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print(f"Tokens are at http://127.0.0.1:{server.server_port}/token?user=ann", flush=True)
    for line in sys.stdin:
        user, _, text = line.strip().partition(" ")
        try:
            print(f"{user} has it on {notify(user, text)} connections", flush=True)
        except OSError as error:
            print(f"{user} does not have it: {error}", flush=True)


if __name__ == "__main__":
    main()
