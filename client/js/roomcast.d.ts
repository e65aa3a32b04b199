/**
 * What a client does after a connection has ended with this close code: come back at once, after a delay, or not by itself.
 * @param {number} code @returns {"now" | "later" | "never"}
 */
export function afterClose(code: number): "now" | "later" | "never";
/**
 * Connects to a server, and again whenever the connection breaks. It returns at once and does not throw when there is no network:
 * `client.state` and the event `state` say how it goes.
 * @param {string | URL} url  The endpoint: ws, wss, http or https; in a browser it may be relative to the page, like "/ws".
 * @param {Options} [options]
 * @returns {Client}
 */
export function connect(url: string | URL, options?: Options): Client;
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
    constructor(code: string, message: string, { room, retryAfter, closeCode, cause }?: {
        room?: string;
        retryAfter?: number;
        closeCode?: number;
        cause?: unknown;
    });
    /** What went wrong, for programs. */
    code: string;
    /** The room it is about. */
    room: string | undefined;
    /** Milliseconds after which the request may be repeated; with `throttled` only. */
    retryAfter: number | undefined;
    /** The WebSocket close code, if the end of a connection is the reason. */
    closeCode: number | undefined;
}
/** A room, joined or not; `client.room(name)` has it. Attach handlers before `join()`: messages may come before its ack. */
export class Room {
    /** @private @param {Membership} own */
    private constructor();
    /** The room's name. */
    get name(): string;
    /** Whether messages flow at this moment. */
    get joined(): boolean;
    /**
     * Where the last message stands in the room's history; null if it keeps none. Store it, and `join({ since })` goes on from there.
     * @returns {Position | null}
     */
    get position(): Position | null;
    /**
     * Joins the room, now and after every reconnect until `leave()`. Resolved when messages flow; rejected if the server refuses.
     * A join that is throttled, or for which the server lacks something, is repeated by itself. Options count if it is not joined yet.
     * @param {{ since?: Position | null, presence?: boolean }} [options]  `since`: what followed this position is wanted, too; the event
     *   `joined` says whether it is to be had. `presence`: the event of this name is wanted.
     * @returns {Promise<void>}
     */
    join(options?: {
        since?: Position | null;
        presence?: boolean;
    }): Promise<void>;
    /** Leaves the room: from now on no handler is called, and loops end. @returns {Promise<void>} resolved by the ack */
    leave(): Promise<void>;
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
    send(data: any, { echo, as, key, idempotencyKey }?: {
        echo?: boolean;
        as?: string;
        key?: string;
        idempotencyKey?: string;
    }): Promise<Position | undefined>;
    /**
     * Asks who is in the room. They come in pages of `limit`, 100 by default and at most; `after` is `next` of the page before.
     * @param {{ after?: string, limit?: number }} [options] @returns {Promise<Members>}
     */
    members({ after, limit }?: {
        after?: string;
        limit?: number;
    }): Promise<Members>;
    /**
     * Reads what the room keeps, joined or not: the newest messages or, with `since`, those that follow a position or, with `before`, those
     * in front of one: `{ epoch, offset: first }` for the page before. `limit` is 100 by default and at most; they are fewer if they are large. None:
     * there is nothing there. It is rejected with `history_gone` if what follows `since` is not kept any more. One is asked for at a time: they may be large.
     * @param {{ since?: Position, before?: Position, limit?: number }} [options] @returns {Promise<History>}
     */
    history({ since, before, limit }?: {
        since?: Position;
        before?: Position;
        limit?: number;
    }): Promise<History>;
    /**
     * Calls the handler at every event of this type, in the order they come.
     * @template {keyof RoomEvents} K
     * @param {K} type @param {(event: RoomEvents[K]) => void} handler @returns {() => void} detaches it
     */
    on<K extends keyof RoomEvents>(type: K, handler: (event: RoomEvents[K]) => void): () => void;
    /**
     * The room's messages from now on: `for await (const message of room)`. The loop ends with `leave()`, when the server takes us
     * out, and with the client; it throws if the server refuses to let us join, and if more messages wait than `options.queue`.
     * @returns {AsyncIterableIterator<Message>}
     */
    [Symbol.asyncIterator](): AsyncIterableIterator<Message>;
    #private;
}
/** One connection to a server, made anew when it breaks. `connect()` makes it. */
export class Client {
    /** @private @param {URL} url @param {Options} options @param {new (url: string, protocol: string) => any} WebSocket */
    private constructor();
    /** The id by which others can send to this client, the same for all of a session; null without a connection. @type {string | null} */
    connection: string | null;
    /** The id of this client's session. Others do not see it; give it to your own backend only. @type {string | null} */
    session: string | null;
    /** Whom the token names; null if nobody is authenticated. @type {string | null} */
    user: string | null;
    /** Why the client is closed; null if it is not, or if `close()` did it. @type {RoomcastError | null} */
    error: RoomcastError | null;
    /** What the connection is doing. */
    get state(): State;
    /** Who this is to the server, for `options.identity` of a later client; null before the first connection. @returns {Identity | null} */
    get identity(): Identity | null;
    /** Resolved when a connection is open, at once if one is; rejected if the client is closed. @returns {Promise<void>} */
    ready(): Promise<void>;
    /** The room of this name, always the same object. It is not joined by this. @param {string} name @returns {Room} */
    room(name: string): Room;
    /**
     * Sends to one connection, or to every connection of a user. It waits for a connection, and is never sent twice, as in `send()`.
     * @param {{ connection: string } | { user: string }} to @param {any} data @returns {Promise<void>} resolved by the ack
     */
    direct(to: {
        connection: string;
    } | {
        user: string;
    }, data: any): Promise<void>;
    /**
     * Calls the handler at every event of this type, in the order they come.
     * @template {keyof ClientEvents} K
     * @param {K} type @param {(event: ClientEvents[K]) => void} handler @returns {() => void} detaches it
     */
    on<K extends keyof ClientEvents>(type: K, handler: (event: ClientEvents[K]) => void): () => void;
    /** Ends the client for good. What was sent still leaves; what waits, for an answer or to be sent, is rejected with `closed`. */
    close(): void;
    #private;
}
/**
 * open: the server has said hello. waiting: another attempt follows by itself. offline: one follows when the network is back.
 * closed: for good, by `close()` or because another attempt would end the same way.
 */
export type State = "connecting" | "open" | "waiting" | "offline" | "closed";
/**
 * Who sent it; empty: the backend, in nobody's name.
 */
export type Sender = {
    connection?: string;
    user?: string;
};
/**
 * A place in the history of a room: of a message, or of all up to it.
 */
export type Position = {
    epoch: string;
    offset: number;
};
/**
 * `data` is a Uint8Array if bytes
 *   were sent. `epoch`, `offset`: where it stands in the room's history, if the room keeps one.
 */
export type Message = {
    room: string;
    from: Sender;
    data: any;
    epoch?: string;
    offset?: number;
};
/**
 * `data` is a Uint8Array if bytes were sent.
 */
export type Direct = {
    from: Sender;
    data: any;
};
/**
 * `count` is how many connections there are,
 *   `users` how many people; `members` is a page of them, and `next` what is `after` in the question for the page that follows.
 */
export type Members = {
    count: number;
    users: number;
    members: Sender[];
    next?: string;
};
/**
 * A part of what a room keeps, in order, or nothing. `first` to `last` are the offsets it covers: all that is kept between them is there, save
 * what this client was left out of.
 */
export type History = {
    epoch: string;
    first: number;
    last: number;
    messages: (Message & Position)[];
} | {
    epoch?: undefined;
    messages: [];
};
/**
 * `joined`, `left`: who has
 *   come and gone; `truncated`: they were too many to be listed, or came and went while we were away: ask for `members()`.
 */
export type Presence = {
    count: number;
    users: number;
    joined: Sender[];
    left: Sender[];
    truncated: boolean;
};
/**
 * `delay`: milliseconds to the next attempt. `closeCode`, `reason`: how the last connection ended, or why it could not be made, where
 * the WebSocket class says it: browsers do not. `error`: why it is closed.
 */
export type StateChange = {
    state: State;
    delay?: number;
    closeCode?: number;
    reason?: string;
    error?: RoomcastError;
};
/**
 * As the server sent it.
 */
export type Hello = {
    protocol: string;
    server: string;
    connection: string;
    session: string;
    user?: string;
    resume?: string;
    token_ttl_ms?: number;
    session_ttl_ms?: number;
    limits: Record<string, number>;
};
export type ClientEvents = {
    /**
     * The state is another one.
     */
    state: StateChange;
    /**
     * A connection is open.
     */
    hello: Hello;
    /**
     * Somebody sent a message to this connection or its user.
     */
    direct: Direct;
    /**
     * The backend has put this connection into the room. Its messages follow: attach handlers now.
     */
    joined: Room;
    /**
     * The server refuses requests for so many milliseconds.
     */
    throttled: {
        retryAfter: number;
    };
    /**
     * The server is about to stop; so many milliseconds later the client comes back.
     */
    draining: {
        reconnectAfter: number;
    };
    /**
     * What no promise tells: no token could be had, an error without a request, closed for good.
     */
    error: RoomcastError;
};
export type RoomEvents = {
    /**
     * Somebody sent it to the room.
     */
    message: Message;
    /**
     * Messages flow. `again`: after a break. `recovered`, after a break and after
     * a join with `since`: whether all that was missed follows; if not, messages are missing here.
     */
    joined: {
        again: boolean;
        recovered?: boolean;
    };
    /**
     * The server has ended the membership. The client does not join again by itself.
     */
    left: {
        reason?: string;
    };
    /**
     * So many messages are missing here: this client was too slow for them.
     */
    gap: {
        missed: number;
    };
    /**
     * Who has come and gone, at most once a second, if `join()` was asked for it.
     */
    presence: Presence;
    /**
     * The server refuses to let us join, perhaps only after a reconnect. We are out of the room.
     */
    error: RoomcastError;
};
/**
 * Who a client is to the server, over all its connections. Whoever
 *   has it, and a token of the same user, is this client: keep it where nobody else can read it.
 */
export type Identity = {
    connection: string;
    session: string;
    resume?: string;
};
export type Options = {
    /**
     * What to authenticate with. A function is called at
     * each attempt to connect and before the token expires; null is none. What it throws is an `error` event and a failed attempt.
     */
    token?: string | (() => string | null | Promise<string | null>) | undefined;
    /**
     * How many messages may wait, 1000 by default: sends without a connection (one more is rejected with
     * `not_connected`), and received ones in each `for await` loop (one more ends the loop with `too_slow`).
     */
    queue?: number | undefined;
    /**
     * That of an earlier client, `client.identity`, whose session this one goes on with, if it is not over.
     */
    identity?: Identity | undefined;
    /**
     * If not the global one: that of npm `ws` in Node 20.
     */
    WebSocket?: (new (url: string, protocol: string) => any) | undefined;
    /**
     * Instead of Math.random, for tests.
     */
    random?: (() => number) | undefined;
};
