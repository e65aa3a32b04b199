// @ts-check
// wire.js: what passes over the socket of a client: the last frame each way, and how long an answer takes. The client is not asked to
// tell; it is given a WebSocket class that does.

const OWN = "page"; // the id of our pings; those of the client have none
const GIVEN_UP = 10_000; // after this long without an answer, another ping may be sent

export class Wire {
  /** How many frames were sent. */
  count = 0;
  /** The last frame that was sent. */
  sent = "";
  /** The last frame that was received: in a handler of the client, the one it is about. */
  received = "";
  /** @type {WebSocket | null} */ #socket = null;
  #pingedAt = 0; // 0: no ping of ours is on its way
  #latency;

  /** @param {(milliseconds: number) => void} latency called with each pong */
  constructor(latency) {
    this.#latency = latency;
    const wire = this;
    /** What connect() is to use. */
    this.WebSocket = class extends WebSocket {
      /** @param {string} url @param {string} protocol */
      constructor(url, protocol) {
        super(url, protocol);
        wire.#adopt(this);
      }

      /** @param {string} frame */
      send(frame) {
        wire.count++;
        wire.sent = frame;
        super.send(frame);
      }
    };
  }

  /** Asks for a sign of life, unless one is awaited. The client takes no notice. */
  ping() {
    const now = performance.now();
    if (this.#socket?.readyState !== WebSocket.OPEN || (this.#pingedAt > 0 && now - this.#pingedAt < GIVEN_UP)) return;
    this.#pingedAt = now;
    this.#socket.send(JSON.stringify({ type: "ping", id: OWN }));
  }

  /** @param {WebSocket} socket */
  #adopt(socket) {
    this.#socket = socket;
    this.#pingedAt = 0;
    // After the client's token, if it has one. If it has none and the server wants one, the answer is an error that says so.
    socket.addEventListener("open", () => setTimeout(() => this.ping()));
    socket.addEventListener("message", ({ data }) => {
      if (socket !== this.#socket) return;
      this.received = String(data);
      if (!this.received.startsWith('{"type":"pong"') || !this.received.includes(`"${OWN}"`)) return;
      this.#latency(performance.now() - this.#pingedAt);
      this.#pingedAt = 0;
    });
  }
}
