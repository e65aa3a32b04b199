// roomcast.js: rooms over one WebSocket that comes back by itself: the client for the protocol roomcast.v1, in browsers and Node.
//
//   import { connect } from "./roomcast.js";
//   const room = connect("/ws").room("kitchen");
//   room.on("message", ({ from, data }) => console.log(from.user, data));
//   await room.join();
//   await room.send({ text: "lunch is ready" });

const PROTOCOL = "roomcast.v1";
const ATTEMPT_TIMEOUT = 20_000; // from the start of an attempt, its token included, to hello
const FIRST_BOUND = 1_000; // of the random delay before another attempt; it doubles
const LONGEST_BOUND = 30_000;
const STEADY_AFTER = 5_000; // a connection that held this long starts the delays anew
const PING_INTERVAL = 30_000; // of silence, unless the server names its own
const PONG_TIMEOUT = 10_000;
const LATE = 1_000; // a timer this much behind its time says that we were asleep, not that the server is gone
const LONGEST_TIMER = 2 ** 31 - 1; // a longer one would fire at once
const UNLIMITED_JOINS = 1e6; // per second, if the server names no limit
const WINDOW = 240_000; // for which an idempotency key is sure to be known: the server's window, less what a message may take to it
const ANEW = 4000; // the close code that does not end the session: we come back

/** The close codes after which another attempt would end the same way, by name. */
const FINAL = new Map([
  [1000, "normal"], [1002, "protocol_error"], [1007, "invalid_utf8"], [1008, "rejected"], [1009, "too_big"],
  [3000, "bad_request"], [3001, "unauthorized"], [3002, "forbidden"], [3003, "kicked"], [3004, "superseded"],
]);
const TOKEN_REFUSED = new Set(["unauthorized", "forbidden", "token_expired"]);
const PASSING = new Set(["throttled", "unavailable"]); // the errors after which the same may be repeated

/**
 * What a client does after a connection has ended with this close code: come back at once, after a delay, or not by itself.
 * @param {number} code @returns {"now" | "later" | "never"}
 */
export function afterClose(code) {
  if (FINAL.has(code) || (code >= 3000 && code < 3100)) return "never";
  return code >= 3200 && code < 3300 ? "now" : "later";
}

/**
 * @typedef {"connecting" | "open" | "waiting" | "offline" | "closed"} State
 *   open: the server has said hello. waiting: another attempt follows by itself. offline: one follows when the network is back.
 *   closed: for good, by `close()` or because another attempt would end the same way.
 * @typedef {{ connection?: string, user?: string }} Sender  Who sent it; empty: the backend, in nobody's name.
 * @typedef {{ epoch: string, offset: number }} Position  A place in the history of a room: of a message, or of all up to it.
 * @typedef {{ room: string, from: Sender, data: any, epoch?: string, offset?: number }} Message  `data` is a Uint8Array if bytes
 *   were sent. `epoch`, `offset`: where it stands in the room's history, if the room keeps one.
 * @typedef {{ from: Sender, data: any }} Direct  `data` is a Uint8Array if bytes were sent.
 * @typedef {{ count: number, users: number, members: Sender[], next?: string }} Members  `count` is how many connections there are,
 *   `users` how many people; `members` is a page of them, and `next` what is `after` in the question for the page that follows.
 * @typedef {{ epoch: string, first: number, last: number, messages: (Message & Position)[] } | { epoch?: undefined, messages: [] }} History
 *   A part of what a room keeps, in order, or nothing. `first` to `last` are the offsets it covers: all that is kept between them is there, save
 *   what this client was left out of.
 * @typedef {{ count: number, users: number, joined: Sender[], left: Sender[], truncated: boolean }} Presence  `joined`, `left`: who has
 *   come and gone; `truncated`: they were too many to be listed, or came and went while we were away: ask for `members()`.
 * @typedef {{ state: State, delay?: number, closeCode?: number, reason?: string, error?: RoomcastError }} StateChange
 *   `delay`: milliseconds to the next attempt. `closeCode`, `reason`: how the last connection ended, or why it could not be made, where
 *   the WebSocket class says it: browsers do not. `error`: why it is closed.
 * @typedef {{ protocol: string, server: string, connection: string, session: string, user?: string, resume?: string,
 *   token_ttl_ms?: number, session_ttl_ms?: number, limits: Record<string, number> }} Hello  As the server sent it.
 */

/**
 * @typedef {object} ClientEvents
 * @property {StateChange} state  The state is another one.
 * @property {Hello} hello  A connection is open.
 * @property {Direct} direct  Somebody sent a message to this connection or its user.
 * @property {Room} joined  The backend has put this connection into the room. Its messages follow: attach handlers now.
 * @property {{ retryAfter: number }} throttled  The server refuses requests for so many milliseconds.
 * @property {{ reconnectAfter: number }} draining  The server is about to stop; so many milliseconds later the client comes back.
 * @property {RoomcastError} error  What no promise tells: no token could be had, an error without a request, closed for good.
 */

/**
 * @typedef {object} RoomEvents
 * @property {Message} message  Somebody sent it to the room.
 * @property {{ again: boolean, recovered?: boolean }} joined  Messages flow. `again`: after a break. `recovered`, after a break and after
 *   a join with `since`: whether all that was missed follows; if not, messages are missing here.
 * @property {{ reason?: string }} left  The server has ended the membership. The client does not join again by itself.
 * @property {{ missed: number }} gap  So many messages are missing here: this client was too slow for them.
 * @property {Presence} presence  Who has come and gone, at most once a second, if `join()` was asked for it.
 * @property {RoomcastError} error  The server refuses to let us join, perhaps only after a reconnect. We are out of the room.
 */

/**
 * @typedef {{ connection: string, session: string, resume?: string }} Identity  Who a client is to the server, over all its connections. Whoever
 *   has it, and a token of the same user, is this client: keep it where nobody else can read it.
 */

/**
 * @typedef {object} Options
 * @property {string | (() => string | null | Promise<string | null>)} [token]  What to authenticate with. A function is called at
 *   each attempt to connect and before the token expires; null is none. What it throws is an `error` event and a failed attempt.
 * @property {number} [queue]  How many messages may wait, 1000 by default: sends without a connection (one more is rejected with
 *   `not_connected`), and received ones in each `for await` loop (one more ends the loop with `too_slow`).
 * @property {Identity} [identity]  That of an earlier client, `client.identity`, whose session this one goes on with, if it is not over.
 * @property {new (url: string, protocol: string) => any} [WebSocket]  If not the global one: that of npm `ws` in Node 20.
 * @property {() => number} [random]  Instead of Math.random, for tests.
 */

/** Why a request was not done or a client is closed. Programs go by `code`: one of the server's, or of those in the README. */
export class RoomcastError extends Error {
  /**
   * @param {string} code @param {string} message
   * @param {{ room?: string, retryAfter?: number, closeCode?: number, cause?: unknown }} [details]
   */
  constructor(code, message, { room, retryAfter, closeCode, cause } = {}) {
    super(message, { cause });
    this.name = "RoomcastError";
    /** What went wrong, for programs. */
    this.code = code;
    /** The room it is about. */
    this.room = room;
    /** Milliseconds after which the request may be repeated; with `throttled` only. */
    this.retryAfter = retryAfter;
    /** The WebSocket close code, if the end of a connection is the reason. */
    this.closeCode = closeCode;
  }
}

/** The handlers of one object, by type of event. */
class Handlers {
  /** @type {Map<string, Set<(event: any) => void>>} */ #sets = new Map();

  /** @param {string} type @param {(event: any) => void} handler @returns {() => void} */
  add(type, handler) {
    const entry = (/** @type {any} */ event) => handler(event); // its own, so that a handler may be attached twice
    const set = this.#sets.get(type) ?? new Set();
    this.#sets.set(type, set.add(entry));
    return () => void set.delete(entry);
  }

  /** @param {string} type @param {any} event */
  emit(type, event) {
    const set = this.#sets.get(type) ?? new Set();
    for (const handler of [...set]) {
      if (!set.has(handler)) continue; // an earlier one has detached it
      try {
        handler(event);
      } catch (error) {
        queueMicrotask(() => { throw error; }); // reported like any uncaught error, and the other handlers do not suffer
      }
    }
  }
}

/** The messages that wait for one `for await` loop. */
class Inbox {
  /** @type {Message[]} */ #messages = [];
  /** @type {ReturnType<typeof deferred> | null} */ #news = null;
  /** @type {RoomcastError | null} */ #error = null;
  #over = false;
  #limit;
  #detach;

  /** @param {number} limit @param {(inbox: Inbox) => void} detach */
  constructor(limit, detach) {
    this.#limit = limit;
    this.#detach = detach;
  }

  /** @param {Message} message */
  push(message) {
    if (this.#messages.length >= this.#limit) {
      const what = `more than ${this.#limit} messages wait for this loop`;
      return this.end(new RoomcastError("too_slow", what, { room: message.room }));
    }
    this.#messages.push(message);
    this.#news?.resolve();
    this.#news = null;
  }

  /** What waits can still be read; then comes the error, if there is one. @param {RoomcastError | null} error */
  end(error) {
    this.#over = true;
    this.#error = error;
    this.#news?.resolve();
    this.#detach(this);
  }

  /** @returns {Promise<IteratorResult<Message, undefined>>} */
  async next() {
    while (this.#messages.length === 0 && !this.#over) await (this.#news ??= deferred()).promise;
    const value = this.#messages.shift();
    if (value) return { done: false, value };
    const error = this.#error;
    this.#error = null;
    if (error) throw error;
    return { done: true, value: undefined };
  }

  /** @returns {Promise<IteratorResult<Message, undefined>>} */
  return() {
    this.#messages = [];
    this.end(null);
    return this.next();
  }

  [Symbol.asyncIterator]() {
    return this;
  }
}

/** The state of a room; Room is its face, and `client` what it needs of the client. */
class Membership {
  wanted = false; // the client joins it after each reconnect
  joined = false;
  broken = false; // was joined when a connection ended, and is not yet again
  presence = false; // who comes and goes is wanted, too
  /** @type {Position | null} up to where its messages are here */ position = null;
  #replay = false; // join() was given the position
  kept = false; // the room has a history, as far as is known
  leaves = 0; // on their way
  leftAway = false; // between two connections: the server may not know
  /** @type {object | null} the join that waits for its answer */ attempt = null;
  /** @type {ReturnType<typeof deferred> | null} what join() has promised */ #joining = null;
  /** @type {Set<Inbox>} */ #inboxes = new Set();
  handlers = new Handlers();
  room = makeRoom(this);

  /**
   * @param {string} name
   * @param {{ limit(): number, refusal(): Promise<any> | undefined, error(): RoomcastError | null, flush(): void,
   *   request(make: () => any, own?: Membership): Promise<any>, read(message: any): Promise<any>, join(own: Membership): void,
   *   leave(own: Membership, there: boolean, broken: boolean): Promise<void> }} client
   */
  constructor(name, client) {
    this.name = name;
    this.client = client;
  }

  /** @param {{ since?: Position | null, presence?: boolean }} options @returns {Promise<void>} */
  join({ since, presence = this.presence }) {
    const refusal = this.client.refusal();
    if (refusal) return refusal;
    this.wanted = true;
    this.leftAway = false;
    if (this.joined) return Promise.resolve();
    if (this.#joining) return this.#joining.promise;
    this.presence = presence;
    if (since) this.#replay = true;
    if (since || !this.broken) this.position = since ? { epoch: since.epoch, offset: since.offset } : null;
    const { promise } = (this.#joining = deferred());
    this.client.join(this);
    return promise;
  }

  /** @returns {Promise<void>} */
  leave() {
    const { joined, broken, attempt } = this;
    this.over(null, new RoomcastError("left", "leave() was called", { room: this.name }));
    return this.client.leave(this, joined || attempt !== null, broken);
  }

  messages() {
    const inbox = new Inbox(this.client.limit(), (me) => this.#inboxes.delete(me));
    this.#inboxes.add(inbox);
    if (this.client.refusal()) inbox.end(this.client.error());
    return inbox;
  }

  /** @param {Message} message */
  deliver(message) {
    if (this.#past()) return;
    if (message.epoch !== undefined && !this.#reached(message)) return; // seen before the break
    for (const inbox of [...this.#inboxes]) inbox.push(message);
    this.tell("message", message);
  }

  /** @param {keyof RoomEvents} type @param {any} event of those that come by themselves */
  tell(type, event) {
    if (!this.#past()) this.handlers.emit(type, event);
  }

  /** Whether what comes was on its way while we left, to join again perhaps. */
  #past() {
    return this.leaves > 0 || (!this.wanted && !this.joined);
  }

  /** Goes on to a position. @param {any} position @returns {boolean} whether it is further than where we were */
  #reached({ epoch, offset }) {
    const at = this.position;
    if (at && at.epoch === epoch && at.offset >= offset) return false;
    this.position = { epoch, offset };
    return true;
  }

  /** From where on messages are to come, if not from now on. */
  since() {
    return ((this.broken || this.#replay) && this.position) || undefined;
  }

  /** Messages flow: the join was acked, the backend has put us in, or the session goes on. @param {any} m what says so */
  flows(m) {
    const again = this.broken;
    const asked = again || this.#replay;
    this.broken = this.#replay = false;
    this.joined = true;
    this.kept = m.epoch !== undefined;
    if (!this.kept || m.recovered === false) this.position = null; // else what is here already, since the backend has put us in meanwhile, stays so
    if (this.kept) this.#reached(m);
    this.#joining?.resolve();
    this.#joining = null;
    this.client.flush();
    this.handlers.emit("joined", asked ? { again, recovered: m.recovered === true } : { again });
  }

  /** The connection has ended. What was joined will be again. */
  lost() {
    this.broken ||= this.joined;
    this.joined = false;
    this.attempt = null;
  }

  /** The session is over: where the backend had put us, we are out. */
  forgotten() {
    this.leftAway = false;
    if (this.broken && !this.wanted) this.out("the connection ended");
  }

  /** The server has ended the membership. @param {string} [reason] */
  out(reason) {
    if (this.attempt) this.joined = false; // a join is on its way, and its answer decides
    else this.over(null, new RoomcastError("left", reason ?? "the server has ended the membership", { room: this.name }));
    this.handlers.emit("left", { reason });
  }

  /** Not wanted any more. @param {RoomcastError | null} error for loops @param {RoomcastError} why for join() */
  over(error, why) {
    this.wanted = this.joined = this.broken = this.presence = this.#replay = false;
    this.attempt = null;
    this.#joining?.reject(why);
    this.#joining = null;
    for (const inbox of [...this.#inboxes]) inbox.end(error);
  }
}

/** @type {(own: Membership) => Room} */
let makeRoom;

/** A room, joined or not; `client.room(name)` has it. Attach handlers before `join()`: messages may come before its ack. */
export class Room {
  static { makeRoom = (own) => new Room(own); }
  #own;

  /** @private @param {Membership} own */
  constructor(own) {
    this.#own = own;
  }

  /** The room's name. */
  get name() { return this.#own.name; }

  /** Whether messages flow at this moment. */
  get joined() { return this.#own.joined; }

  /**
   * Where the last message stands in the room's history; null if it keeps none. Store it, and `join({ since })` goes on from there.
   * @returns {Position | null}
   */
  get position() { return this.#own.position && { ...this.#own.position }; }

  /**
   * Joins the room, now and after every reconnect until `leave()`. Resolved when messages flow; rejected if the server refuses.
   * A join that is throttled, or for which the server lacks something, is repeated by itself. Options count if it is not joined yet.
   * @param {{ since?: Position | null, presence?: boolean }} [options]  `since`: what followed this position is wanted, too; the event
   *   `joined` says whether it is to be had. `presence`: the event of this name is wanted.
   * @returns {Promise<void>}
   */
  join(options = {}) { return this.#own.join(options); }

  /** Leaves the room: from now on no handler is called, and loops end. @returns {Promise<void>} resolved by the ack */
  leave() { return this.#own.leave(); }

  /**
   * Sends to every member of the room: a JSON value, or bytes as ArrayBuffer or a view of one. undefined is sent as null.
   * What is sent while there is no connection, or while the room is being joined, waits and leaves in order. In a room with history
   * no message is stored twice: it is sent again, with the same key, until the server has stored or refused it, but not later than four
   * minutes after the first time, or as somebody else: then the server would not know the key. In any other room nothing is sent
   * twice. Where it is not sent again the promise is rejected, with `disconnected` if the connection broke before the ack, and whether it was done is unknown.
   * @param {any} data
   * @param {{ echo?: boolean, as?: string, key?: string, idempotencyKey?: string }} [options]  `echo: false`: to everyone but oneself.
   *   `as`: in this user's name, if the token allows it. `key`: what it replaces, in rooms that keep the latest message per key for slow
   *   members. `idempotencyKey`: of this user's messages (without users, this session's) with the same, the room's history takes one; without it
   *   the client makes one.
   * @returns {Promise<Position | undefined>} resolved by the ack, with the message's place in the room's history
   */
  send(data, { echo, as, key, idempotencyKey } = {}) {
    const own = this.#own;
    const make = () => ({ type: "send", room: own.name, echo, as, key, idempotency_key: idempotencyKey, ...payload(data) });
    return own.client.request(make, own);
  }

  /**
   * Asks who is in the room. They come in pages of `limit`, 100 by default and at most; `after` is `next` of the page before.
   * @param {{ after?: string, limit?: number }} [options] @returns {Promise<Members>}
   */
  members({ after, limit } = {}) {
    return this.#own.client.request(() => ({ type: "members", room: this.#own.name, after, limit }));
  }

  /**
   * Reads what the room keeps, joined or not: the newest messages or, with `since`, those that follow a position or, with `before`, those
   * in front of one: `{ epoch, offset: first }` for the page before. `limit` is 100 by default and at most; they are fewer if they are large. None:
   * there is nothing there. It is rejected with `history_gone` if what follows `since` is not kept any more. One is asked for at a time: they may be large.
   * @param {{ since?: Position, before?: Position, limit?: number }} [options] @returns {Promise<History>}
   */
  history({ since, before, limit } = {}) {
    return this.#own.client.read({ type: "history", room: this.#own.name, since: place(since), before: place(before), limit });
  }

  /**
   * Calls the handler at every event of this type, in the order they come.
   * @template {keyof RoomEvents} K
   * @param {K} type @param {(event: RoomEvents[K]) => void} handler @returns {() => void} detaches it
   */
  on(type, handler) { return this.#own.handlers.add(type, handler); }

  /**
   * The room's messages from now on: `for await (const message of room)`. The loop ends with `leave()`, when the server takes us
   * out, and with the client; it throws if the server refuses to let us join, and if more messages wait than `options.queue`.
   * @returns {AsyncIterableIterator<Message>}
   */
  [Symbol.asyncIterator]() { return this.#own.messages(); }
}

/** @type {(url: URL, options: Options, WebSocket: new (url: string, protocol: string) => any) => Client} */
let makeClient;

/** One connection to a server, made anew when it breaks. `connect()` makes it. */
export class Client {
  static { makeClient = (...all) => new Client(...all); }

  // Set once.
  #url;
  #options;
  #WebSocket;
  #handlers = new Handlers();
  #gone = new AbortController(); // detaches from the page

  // The connection, or the attempt at one.
  /** @type {State} */ #state = "connecting";
  /** @type {WebSocket | null} */ #socket = null;
  #turn = 0; // counts attempts and ends: what began in another turn is void
  /** @type {ReturnType<typeof later> | undefined} of the state: the attempt's timeout, the next attempt, or the heartbeat */
  #timer;
  #openedAt = 0;
  /** @type {Record<string, number>} */ #limits = {};
  /** @type {ReturnType<typeof deferred> | null} what ready() has promised */ #ready = null;

  // The session.
  /** @type {Identity | null} that the next connection goes on with */ #identity;
  #resuming = false; // it is not known yet which rooms the session is in

  // How to come back.
  #tries = 0;
  #hurried = false; // "retry now" has been used, and no connection has held since
  /** @type {number | undefined} the delay that a draining server wishes */
  #drain;

  // The heartbeat.
  #heardAt = 0;
  #asked = false;
  #dueAt = 0;
  #slept = 0; // how often in a row the timer for the answer came late

  // The token.
  /** @type {ReturnType<typeof later> | undefined} */
  #renewal;
  #expiresAt = 0;

  // Requests.
  #lastId = 0;
  /** @type {Map<number, ReturnType<typeof request>>} sent, and without an answer yet */ #pending = new Map();
  /** @type {ReturnType<typeof request>[]} to be sent, in the order of their ids */ #queue = [];
  #nonce = Array.from(crypto.getRandomValues(new Uint32Array(3)), (n) => n.toString(36)).join(""); // in the keys that the client makes
  /** @type {Set<Membership>} where the next message waits for the repetition of one before */ #stalled = new Set();
  /** @type {ReturnType<typeof later> | undefined} */
  #stallTimer;
  #sendTries = 0;
  /** @type {Promise<void> | null} the latest part of a history that is asked for */ #reading = null;

  // Rooms.
  /** @type {Map<string, Membership>} */ #rooms = new Map();
  /** @type {Set<Membership>} whose join is still to be sent */ #toJoin = new Set();
  /** @type {ReturnType<typeof later> | undefined} */
  #joinTimer;
  #permits = 0; // a token bucket of the server's rate: a join that is refused costs more than one that waits
  #permitsAt = 0;
  #joinTries = 0;

  /** @private @param {URL} url @param {Options} options @param {new (url: string, protocol: string) => any} WebSocket */
  constructor(url, options, WebSocket) {
    this.#url = url;
    this.#options = options;
    this.#identity = options.identity ?? null;
    this.#WebSocket = WebSocket;
    /** The id by which others can send to this client, the same for all of a session; null without a connection. @type {string | null} */
    this.connection = null;
    /** The id of this client's session. Others do not see it; give it to your own backend only. @type {string | null} */
    this.session = null;
    /** Whom the token names; null if nobody is authenticated. @type {string | null} */
    this.user = null;
    /** Why the client is closed; null if it is not, or if `close()` did it. @type {RoomcastError | null} */
    this.error = null;
    this.#listen();
    if (this.#offline()) this.#become("offline");
    else this.#attempt();
  }

  /** What the connection is doing. */
  get state() { return this.#state; }

  /** Who this is to the server, for `options.identity` of a later client; null before the first connection. @returns {Identity | null} */
  get identity() {
    if (!this.#identity) return null;
    const { connection, session, resume } = this.#identity;
    return { connection, session, resume };
  }

  /** Resolved when a connection is open, at once if one is; rejected if the client is closed. @returns {Promise<void>} */
  ready() {
    if (this.#state === "open") return Promise.resolve();
    return this.#refusal() ?? (this.#ready ??= deferred()).promise;
  }

  /** The room of this name, always the same object. It is not joined by this. @param {string} name @returns {Room} */
  room(name) { return this.#membership(name).room; }

  /**
   * Sends to one connection, or to every connection of a user. It waits for a connection, and is never sent twice, as in `send()`.
   * @param {{ connection: string } | { user: string }} to @param {any} data @returns {Promise<void>} resolved by the ack
   */
  direct(to, data) { return this.#request(() => ({ type: "direct", to, ...payload(data) })); }

  /**
   * Calls the handler at every event of this type, in the order they come.
   * @template {keyof ClientEvents} K
   * @param {K} type @param {(event: ClientEvents[K]) => void} handler @returns {() => void} detaches it
   */
  on(type, handler) { return this.#handlers.add(type, handler); }

  /** Ends the client for good. What was sent still leaves; what waits, for an answer or to be sent, is rejected with `closed`. */
  close() { this.#shut(null); }

  // ---- The connection ---------------------------------------------------------------------------

  async #attempt() {
    this.#drop();
    const turn = this.#turn;
    this.#timer = later(() => this.#end(1006, `no hello within ${ATTEMPT_TIMEOUT} ms`), ATTEMPT_TIMEOUT);
    this.#become("connecting");
    let token;
    try {
      token = await this.#token();
    } catch (cause) {
      if (turn === this.#turn) this.#end(1006, "no token");
      return this.#handlers.emit("error", tokenFailed(cause));
    }
    if (turn !== this.#turn) return;
    let socket;
    try {
      socket = this.#socket = /** @type {WebSocket} */ (new this.#WebSocket(this.#url.href, PROTOCOL));
    } catch (cause) {
      return this.#shut(new RoomcastError("failed", `cannot connect to ${this.#url.href}: ${cause}`, { cause }));
    }
    socket.onopen = () => token && this.#authenticate(token);
    socket.onmessage = ({ data }) => this.#receive(data);
    let why = ""; // an attempt failed: Node says it here, and browsers nowhere
    socket.onerror = (event) => void (why = /** @type {any} */ (event)?.message ?? ""); // close follows
    socket.onclose = ({ code, reason }) => this.#end(code, reason || why);
  }

  /** Lets go of the socket and of every timer. */
  #drop(code = ANEW) {
    this.#turn++;
    for (const timer of [this.#timer, this.#renewal, this.#joinTimer, this.#stallTimer]) clearTimeout(timer);
    this.#stallTimer = undefined;
    this.#stalled.clear();
    this.#toJoin.clear();
    const socket = this.#socket;
    this.#socket = this.connection = null;
    this.#limits = {};
    this.#asked = false;
    if (!socket) return;
    socket.onopen = socket.onmessage = socket.onclose = null; // not onerror: `ws` throws an error that nobody listens to
    socket.close(code);
  }

  /** The connection, or the attempt at one, has ended. @param {number} code @param {string} reason */
  #end(code, reason) {
    if (this.#openedAt > 0 && Date.now() - this.#openedAt >= STEADY_AFTER) {
      this.#tries = 0;
      this.#hurried = false;
    }
    const drain = this.#drain;
    this.#drain = undefined;
    this.#openedAt = 0;
    this.#drop();
    const turn = this.#turn;
    this.#state = "waiting"; // until it is decided below: what a handler sends now has to wait
    const unknown = "the connection ended before the answer: it is not known whether this was done";
    const error = new RoomcastError("disconnected", unknown, { closeCode: code });
    for (const entry of this.#takeAll()) if (!this.#repeat(entry, error)) entry.fail(error);
    for (const own of this.#rooms.values()) {
      own.lost();
      if (!this.#identity?.resume) own.forgotten();
    }
    if (turn !== this.#turn) return; // a handler has closed the client

    const next = afterClose(code);
    if (next === "never") {
      const message = `the server closed with ${code}${reason && `: ${reason}`}`;
      return this.#shut(new RoomcastError(FINAL.get(code) ?? "rejected", message, { closeCode: code }));
    }
    if (this.#offline()) return this.#become("offline", { closeCode: code, reason });
    if (next === "now" && !this.#hurried) {
      this.#hurried = true;
      return void this.#attempt();
    }
    const delay = drain ?? this.#jitter(this.#tries++);
    this.#timer = later(() => this.#attempt(), delay);
    this.#become("waiting", { delay, closeCode: code, reason });
  }

  /** Full jitter: a thousand clients do not come back together. @param {number} tries */
  #jitter(tries) {
    return (this.#options.random ?? Math.random)() * Math.min(LONGEST_BOUND, FIRST_BOUND * 2 ** tries);
  }

  /** Closed for good. @param {RoomcastError | null} error */
  #shut(error) {
    if (this.#state === "closed") return;
    this.#drop(1000);
    this.#gone.abort();
    this.#state = "closed";
    this.error = error;
    const why = error ?? closed();
    for (const { fail } of [...this.#takeAll(), ...this.#queue.splice(0)]) fail(why);
    this.#ready?.reject(why);
    for (const own of this.#rooms.values()) own.over(error, why);
    this.#become("closed", error ? { error, closeCode: error.closeCode } : {});
    if (error) this.#handlers.emit("error", error);
  }

  /** @param {State} state @param {Omit<StateChange, "state">} [details] */
  #become(state, details) {
    this.#state = state;
    this.#handlers.emit("state", { state, ...details });
  }

  /** What a closed client answers to everything. */
  #refusal() {
    if (this.#state !== "closed") return undefined;
    const { promise, reject } = deferred();
    reject(this.error ?? closed());
    return promise;
  }

  // ---- The page ---------------------------------------------------------------------------------

  #listen() {
    const { signal } = this.#gone;
    globalThis.addEventListener?.("online", () => this.#online(), { signal });
    globalThis.addEventListener?.("offline", () => this.#wentOffline(), { signal });
    // In the background timers come late or not at all, so what they would say now is not to be trusted: ask.
    const seen = () => document.visibilityState === "visible" && this.#probe();
    globalThis.document?.addEventListener("visibilitychange", seen, { signal });
  }

  /** Without a network there is no use in trying, save on this very machine. */
  #offline() {
    return globalThis.navigator?.onLine === false && !/^(localhost|127\..*|\[::1\])$/.test(this.#url.hostname);
  }

  #online() {
    if (this.#state === "offline" || this.#state === "waiting") this.#attempt();
    else this.#probe();
  }

  #wentOffline() {
    this.#probe(); // what is open may still work: browsers err in this
    if (this.#state !== "waiting" || !this.#offline()) return;
    this.#drop();
    this.#become("offline");
  }

  // ---- The heartbeat ----------------------------------------------------------------------------

  #beat() {
    const now = Date.now();
    if (this.#asked) {
      const late = now - this.#dueAt > LATE; // the answer may be here already, behind this timer
      if (late && this.#slept++ < 2) return this.#probe();
      return this.#end(1006, `no pong within ${PONG_TIMEOUT} ms`);
    }
    const interval = this.#limits.ping_interval_ms ?? PING_INTERVAL;
    const quiet = Math.max(0, now - this.#heardAt); // clocks are set back, too
    if (quiet >= interval) this.#probe();
    else this.#beatIn(interval - quiet);
  }

  /** @param {number} ms */
  #beatIn(ms) {
    clearTimeout(this.#timer);
    this.#dueAt = Date.now() + ms;
    this.#timer = later(() => this.#beat(), ms);
  }

  /** Asks for a sign of life, at once. */
  #probe() {
    if (this.#state !== "open") return;
    this.#asked = true;
    this.#socket?.send('{"type":"ping"}');
    this.#beatIn(PONG_TIMEOUT);
  }

  // ---- The token --------------------------------------------------------------------------------

  async #token() {
    const { token } = this.#options;
    return typeof token === "function" ? token() : token;
  }

  /** Shows the token before hello. @param {string} token */
  #authenticate(token) {
    this.#post({ type: "token", token }, (ack) => this.#expiresIn(ack.token_ttl_ms), (error) => {
      if (this.#state !== "connecting") return; // the connection has ended
      if (error.code === "token_expired" && typeof this.#options.token === "function") this.#end(3200, error.message);
      else if (TOKEN_REFUSED.has(error.code)) this.#shut(error);
      else this.#end(1006, error.message);
    });
  }

  /** Has a fresh token shown in good time. @param {number} [ttl] left out: it never expires */
  #expiresIn(ttl) {
    clearTimeout(this.#renewal);
    if (ttl === undefined || typeof this.#options.token !== "function") return;
    this.#expiresAt = Date.now() + ttl;
    this.#renewal = later(() => this.#renew(), ttl * 0.8);
  }

  async #renew() {
    const turn = this.#turn;
    try {
      const token = await this.#token();
      if (turn !== this.#turn) return;
      if (!token) throw new Error("the function `token` returned none");
      const ack = await new Promise((done, fail) => this.#post({ type: "token", token }, done, fail));
      this.#expiresIn(ack.token_ttl_ms);
    } catch (cause) {
      if (turn !== this.#turn) return;
      const wait = (this.#expiresAt - Date.now()) * 0.8;
      if (wait >= 1_000) this.#renewal = later(() => this.#renew(), wait); // else 3200 ends the connection, and we come back
      this.#handlers.emit("error", cause instanceof RoomcastError ? cause : tokenFailed(cause));
    }
  }

  // ---- Requests ---------------------------------------------------------------------------------

  /** A request that waits for the connection and for its room. @param {() => any} make @param {Membership | null} [own] */
  #request(make, own = null) {
    const refusal = this.#refusal();
    if (refusal) return refusal;
    const { promise, resolve, reject } = deferred();
    try {
      const done = (/** @type {any} */ answer) => {
        this.#sendTries = 0;
        resolve(said(answer));
      };
      this.#queue.push(request(++this.#lastId, make(), done, reject, own));
    } catch (error) {
      reject(error); // JSON cannot say it
      return promise;
    }
    this.#flush();
    const limit = this.#limit();
    if (this.#queue.length > limit) {
      const what = `more than ${limit} messages wait for a connection`;
      this.#queue.pop()?.fail(new RoomcastError("not_connected", what, { room: own?.name }));
    }
    return promise;
  }

  /**
   * A request for a part of a history, once the one before is answered: several that are large are more than may wait for us, and the server closes
   * the connection then.
   * @param {any} message @returns {Promise<any>}
   */
  #read(message) {
    const answer = this.#reading ? this.#reading.then(() => this.#request(() => message)) : this.#request(() => message);
    const over = () => {
      if (this.#reading === reading) this.#reading = null;
    };
    const reading = (this.#reading = answer.then(over, over));
    return answer;
  }

  #limit() {
    return this.#options.queue ?? 1_000;
  }

  /** Sends what may go: of a room all or nothing, so its order stays. */
  #flush() {
    const waiting = this.#queue;
    this.#queue = [];
    const unsure = this.#resuming && this.user === null; // whose key it would be: this session's, or that of the one we go on with
    for (const entry of waiting) {
      const { own } = entry;
      const may = own?.joined ? !this.#stalled.has(own) : !own?.wanted && !own?.broken;
      const ready = !own || (may && !(unsure && own.kept));
      if (ready && this.#state === "open" && this.#socket?.readyState === 1) this.#transmit(entry);
      else this.#queue.push(entry);
    }
  }

  /** @param {ReturnType<typeof request>} entry */
  #transmit(entry) {
    if (entry.once === false && entry.own?.kept) {
      entry.once = true;
      entry.frame = `${entry.frame.slice(0, -1)},"idempotency_key":"${this.#nonce}-${entry.id}"}`;
    }
    const owner = this.user ?? this.session; // whose keys the server compares
    const known = entry.own?.kept && entry.owner === owner && Date.now() - entry.sentAt <= WINDOW;
    if (entry.doubt && !known) return entry.fail(entry.doubt); // it could be done again
    if (!entry.doubt) Object.assign(entry, { owner, sentAt: Date.now() });
    const limit = this.#limits.message_bytes ?? Infinity;
    if (bytesOver(entry.frame, limit)) { // sent all the same, it would end the connection for good
      return entry.fail(new RoomcastError("too_large", `the message is larger than ${limit} bytes`, { room: entry.own?.name }));
    }
    this.#pending.set(entry.id, entry);
    this.#socket?.send(entry.frame);
  }

  /** Sends at once. @param {any} message @param {(answer: any) => void} done @param {(error: RoomcastError) => void} fail */
  #post(message, done, fail) {
    this.#transmit(request(++this.#lastId, message, done, fail, null));
  }

  /** @param {number} id */
  #take(id) {
    const entry = this.#pending.get(id);
    this.#pending.delete(id);
    return entry;
  }

  /** What waits for answers that will not come. */
  #takeAll() {
    const entries = [...this.#pending.values()];
    this.#pending.clear();
    return entries;
  }

  /**
   * Has a message sent again if that is safe and there is room for it.
   * @param {ReturnType<typeof request>} entry @param {RoomcastError} why
   */
  #repeat(entry, why) {
    const { once, own } = entry;
    const safe = once && own?.kept && (own.wanted || own.joined || own.broken);
    if (!safe || this.#queue.length >= this.#limit()) return false;
    if (why.code !== "throttled") entry.doubt = why; // what is throttled was not stored
    this.#queue.push(entry);
    this.#queue.sort((a, b) => a.id - b.id);
    return true;
  }

  /** Lets a room's messages wait. @param {Membership} own @param {number} [pause] if the server has said how long */
  #stall(own, pause) {
    this.#stalled.add(own);
    this.#stallTimer ??= later(() => {
      this.#stallTimer = undefined;
      this.#stalled.clear();
      this.#flush();
    }, pause ?? this.#jitter(this.#sendTries++));
  }

  // ---- Rooms ------------------------------------------------------------------------------------

  /** @param {string} name */
  #membership(name) {
    let own = this.#rooms.get(name);
    if (!own) this.#rooms.set(name, (own = new Membership(name, this.#forRooms)));
    return own;
  }

  /** What a room needs of its client. */
  #forRooms = {
    limit: this.#limit.bind(this),
    refusal: this.#refusal.bind(this),
    error: () => this.error,
    flush: this.#flush.bind(this),
    request: this.#request.bind(this),
    read: this.#read.bind(this),
    join: this.#join.bind(this),
    leave: this.#leave.bind(this),
  };

  /** @param {Membership} own */
  #join(own) {
    if (this.#state !== "open" || this.#resuming) return; // all that are wanted follow
    this.#toJoin.add(own);
    this.#pump();
  }

  /** @param {Membership} own @param {boolean} there @param {boolean} [broken] @returns {Promise<void>} */
  #leave(own, there, broken = false) {
    this.#toJoin.delete(own);
    this.#flush(); // what waited for the join
    if (broken && (this.#state !== "open" || this.#resuming)) own.leftAway = true;
    if (!there || this.#state !== "open") return Promise.resolve();
    own.leaves++;
    const message = { type: "leave", room: own.name };
    return new Promise((done) => this.#post(message, () => done(void own.leaves--), (error) => {
      own.leaves--;
      own.leftAway = this.#state !== "open" && !own.wanted; // it may not have come there
      if (error.code !== "throttled") return done(); // without the connection, we are out
      later(() => done(this.#leave(own, !own.wanted)), error.retryAfter ?? FIRST_BOUND);
    }));
  }

  /** Sends the joins that the server's rate allows, and comes back for the others. */
  #pump() {
    const rate = this.#limits.joins_per_second ?? UNLIMITED_JOINS;
    const now = Date.now();
    this.#permits = Math.min(Math.max(1, rate), this.#permits + (Math.max(0, now - this.#permitsAt) * rate) / 1000);
    this.#permitsAt = now;
    for (const own of this.#toJoin) {
      if (this.#permits < 1) break;
      this.#permits--;
      this.#toJoin.delete(own);
      const attempt = (own.attempt = {});
      const refused = (/** @type {RoomcastError} */ error) => this.#notJoined(own, attempt, error);
      const message = { type: "join", room: own.name, since: own.since(), presence: own.presence || undefined };
      this.#post(message, (ack) => this.#joined(own, attempt, ack), refused);
    }
    clearTimeout(this.#joinTimer);
    if (this.#toJoin.size > 0) this.#joinTimer = later(() => this.#pump(), Math.ceil(((1 - this.#permits) * 1000) / rate));
  }

  /** @param {Membership} own @param {object} attempt @param {any} ack */
  #joined(own, attempt, ack) {
    if (own.attempt !== attempt) { // left meanwhile, or the backend has put us in, and perhaps out again, before this
      if (!own.wanted && !own.joined && own.leaves === 0) this.#leave(own, true);
      return;
    }
    own.attempt = null;
    this.#joinTries = 0;
    own.flows(ack);
  }

  /** @param {Membership} own @param {object} attempt @param {RoomcastError} error */
  #notJoined(own, attempt, error) {
    if (own.attempt !== attempt || this.#state !== "open") return; // left meanwhile, or the next hello joins again
    own.attempt = null;
    if (PASSING.has(error.code)) {
      const rate = this.#limits.joins_per_second ?? UNLIMITED_JOINS;
      const pause = error.retryAfter ?? this.#jitter(this.#joinTries++);
      this.#permits = Math.min(this.#permits, 1 - (pause * rate) / 1000); // one again when the pause is over
      return this.#join(own);
    }
    own.over(error, error);
    this.#flush();
    own.handlers.emit("error", error);
  }

  // ---- What the server says ---------------------------------------------------------------------

  /** @param {unknown} text */
  #receive(text) {
    const m = parse(text);
    this.#heardAt = Date.now();
    this.#asked = false;
    this.#slept = 0;
    switch (m?.type) {
      case "hello": return this.#hello(m);
      case "ack": case "members": case "history": return this.#take(m.id)?.done(m);
      case "error": return this.#refused(m);
      case "message": return this.#rooms.get(m.room)?.deliver(message(m));
      case "direct": return this.#handlers.emit("direct", { from: m.from ?? {}, data: m.data });
      case "joined": return this.#putInto(this.#membership(m.room), m);
      case "resumed": return this.#take(m.id)?.done(m);
      case "left": return this.#rooms.get(m.room)?.out(m.reason);
      case "gap": return this.#rooms.get(m.room)?.tell("gap", { missed: m.missed });
      case "presence": return this.#rooms.get(m.room)?.tell("presence", presence(m));
      case "throttled": return this.#handlers.emit("throttled", { retryAfter: m.retry_after_ms });
      case "draining":
        this.#drain = m.reconnect_after_ms;
        return this.#handlers.emit("draining", { reconnectAfter: m.reconnect_after_ms });
    } // a pong has done its work by coming; what is not known is of a later version
  }

  /** @param {Hello} m */
  #hello(m) {
    if (this.#state !== "connecting") return;
    this.#state = "open";
    this.#openedAt = Date.now();
    this.user = m.user ?? null;
    this.#limits = m.limits ?? {};
    this.#beatIn(this.#limits.ping_interval_ms ?? PING_INTERVAL);
    this.#expiresIn(m.token_ttl_ms);
    this.#permits = this.#limits.joins_per_second ?? UNLIMITED_JOINS;
    this.#permitsAt = Date.now();
    const { connection, session } = this.#identity ?? m;
    this.connection = connection;
    this.session = session;
    if (this.#identity?.resume) this.#resume(m); // whatever hello says: a server that has just begun may not know the key of the secrets yet
    else this.#begin(m);
    this.#ready?.resolve();
    this.#ready = null;
    this.#become("open");
    this.#handlers.emit("hello", m);
  }

  /** Goes on with the session of an earlier connection. @param {Hello} hello */
  #resume(hello) {
    this.#resuming = true;
    const known = [...this.#rooms.values()].filter((own) => own.since());
    const rooms = known.map((own) => ({ room: own.name, ...own.since() }));
    const message = { type: "resume", resume: this.#identity?.resume, rooms };
    const limit = (this.#limits.message_bytes ?? Infinity) - 32; // for the id
    while (rooms.length > 0 && bytesOver(JSON.stringify(message), limit)) rooms.length >>= 1; // the others will not be recovered
    this.#post(message, (answer) => this.#begin(answer), (error) => {
      if (this.#state !== "open") return; // the next connection tries again
      if (!PASSING.has(error.code)) return this.#begin(hello);
      this.#joinTimer = later(() => this.#resume(hello), error.retryAfter ?? this.#jitter(this.#joinTries++));
    });
    this.#flush(); // what is for no room
  }

  /**
   * Joins the rooms that are wanted and that the session is not in.
   * @param {Identity} identity  From now on.
   */
  #begin(identity) {
    this.#resuming = false;
    this.#identity = identity;
    this.connection = identity.connection;
    this.session = identity.session;
    for (const own of this.#rooms.values()) {
      if (own.wanted && !own.joined) this.#toJoin.add(own);
      own.forgotten();
    }
    this.#pump();
    this.#flush();
  }

  /** @param {any} m */
  #refused(m) {
    const error = new RoomcastError(m.code, m.message, { room: m.room, retryAfter: m.retry_after_ms });
    const entry = this.#take(m.id);
    if (!entry) this.#handlers.emit("error", error);
    else if (PASSING.has(m.code) && entry.own && this.#repeat(entry, error)) this.#stall(entry.own, error.retryAfter);
    else entry.fail(m.code !== "unavailable" && entry.doubt || error); // that it is refused now does not say that it was not stored then
  }

  /** The backend has put us into a room, or the session is in it. @param {Membership} own @param {any} m */
  #putInto(own, m) {
    if (own.leaves > 0) return; // we are about to be out of it
    if (own.leftAway) return void this.#leave(own, true);
    own.attempt = null; // whatever is answered to a join of our own: we are in
    own.joined = true;
    const ours = own.broken || (this.#resuming && own.wanted); // a join of our own that was on its way, perhaps
    if (!ours) this.#handlers.emit("joined", own.room);
    if (own.joined) own.flows(m); // a handler may have left it
  }
}

/**
 * Connects to a server, and again whenever the connection breaks. It returns at once and does not throw when there is no network:
 * `client.state` and the event `state` say how it goes.
 * @param {string | URL} url  The endpoint: ws, wss, http or https; in a browser it may be relative to the page, like "/ws".
 * @param {Options} [options]
 * @returns {Client}
 */
export function connect(url, options = {}) {
  const WebSocket = options.WebSocket ?? globalThis.WebSocket;
  if (!WebSocket) {
    const remedy = 'npm install ws, import { WebSocket } from "ws", connect(url, { WebSocket })';
    throw new Error(`roomcast: there is no WebSocket here; Node has one since 22, before: ${remedy}`);
  }
  const target = parsed(url);
  target.protocol = target.protocol.replace(/^http/, "ws");
  target.hash = "";
  if (!/^wss?:$/.test(target.protocol)) throw new TypeError(`roomcast: ${target.href} does not begin with ws, wss, http or https`);
  return makeClient(target, options, WebSocket);
}

/** @param {string | URL} url */
function parsed(url) {
  try {
    return new URL(url, globalThis.location?.href);
  } catch (cause) {
    throw new TypeError(`roomcast: "${url}" is no URL: write one such as ws://127.0.0.1:8080/ws`, { cause });
  }
}

/** @param {() => void} run @param {number} ms */
function later(run, ms) {
  return setTimeout(run, Math.min(ms, LONGEST_TIMER));
}

/**
 * A promise to be settled elsewhere. If it is rejected and nobody looks, that is no uncaught error: who sends without waiting for
 * the answer does not care for it, and a break of the connection must not end the program.
 */
function deferred() {
  let resolve = /** @type {(value?: any) => void} */ (() => {});
  let reject = /** @type {(error: unknown) => void} */ (() => {});
  const promise = /** @type {Promise<any>} */ (new Promise((yes, no) => ([resolve, reject] = [yes, no])));
  promise.catch(() => {});
  return { promise, resolve, reject };
}

/**
 * A request as it is sent, and whom its answer concerns. `once`: whether a message to a room has an idempotency key. `doubt`: why it may have been
 * stored although there was no ack; `sentAt`, `owner`: when and as whom it was sent that time.
 * @param {number} id @param {{ type: string, idempotency_key?: string }} message
 * @param {(answer: any) => void} done @param {(error: RoomcastError) => void} fail @param {Membership | null} own
 */
function request(id, { type, ...members }, done, fail, own) {
  const once = type === "send" ? members.idempotency_key !== undefined : undefined;
  return {
    id, frame: JSON.stringify({ type, id, ...members }), once, done, fail, own,
    sentAt: 0, owner: /** @type {string | null} */ (null), doubt: /** @type {RoomcastError | null} */ (null),
  };
}

const closed = () => new RoomcastError("closed", "the client was closed");

/** @param {unknown} cause */
const tokenFailed = (cause) => new RoomcastError("token_failed", `no token: ${cause}`, { cause });

/** @param {string} text @param {number} limit of its UTF-8 */
function bytesOver(text, limit) {
  return text.length > limit || (text.length * 3 > limit && new TextEncoder().encode(text).length > limit);
}

/** @param {any} data */
function payload(data) {
  const whole = data instanceof ArrayBuffer;
  if (!whole && !ArrayBuffer.isView(data)) return { data: data ?? null };
  const bytes = whole ? new Uint8Array(data) : new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
  let text = "";
  for (let i = 0; i < bytes.length; i += 8192) text += String.fromCharCode(...bytes.subarray(i, i + 8192));
  return { base64: btoa(text) };
}

/** No more of it than a position has. @param {Position} [at] */
const place = (at) => at && { epoch: at.epoch, offset: at.offset };

/** @param {any} m @returns {Message} */
function message({ room, from = {}, data, epoch, offset }) {
  return epoch === undefined ? { room, from, data } : { room, from, data, epoch, offset };
}

/** What an answer says to whom it is for. @param {any} m @returns {Members | History | Position | undefined} */
function said({ type, room, count, users, members, next, epoch, offset, first, last, messages }) {
  if (type === "members") return { count, users, members, ...(next !== undefined && { next }) };
  if (type === "history") {
    const all = messages.map((/** @type {any} */ m) => message({ ...decoded(m), room, epoch }));
    return epoch === undefined ? { messages: all } : { epoch, first, last, messages: all };
  }
  return epoch === undefined ? undefined : { epoch, offset };
}

/** @param {any} m @returns {Presence} */
function presence({ count, users, joined = [], left = [], truncated = false }) {
  return { count, users, joined, left, truncated };
}

/** A message with its payload decoded; undefined if it is none. @param {unknown} text @returns {any} */
function parse(text) {
  try {
    return decoded(JSON.parse(/** @type {string} */ (text)));
  } catch {
    return undefined;
  }
}

/** The same with bytes as `data`. @param {any} m */
function decoded(m) {
  if (typeof m.base64 === "string") m.data = Uint8Array.from(atob(m.base64), (c) => c.charCodeAt(0));
  return m;
}
