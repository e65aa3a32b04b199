// The relay on the npm package ws: a Set of sockets per room, send() to each of the others.
import { createServer } from "node:http";
import { WebSocketServer } from "ws";

const [host, port] = process.argv[2].split(":");
const rooms = new Map();
const sockets = new WebSocketServer({ noServer: true, clientTracking: false, perMessageDeflate: false });
const http = createServer((req, res) => res.writeHead(426).end());

http.on("upgrade", (req, socket, head) => {
  if (!req.url.startsWith("/rooms/")) {
    socket.end("HTTP/1.1 404 Not Found\r\n\r\n");
    return;
  }
  const name = req.url.slice("/rooms/".length);
  sockets.handleUpgrade(req, socket, head, (ws) => join(name, ws));
});

function join(name, ws) {
  let room = rooms.get(name);
  if (!room) rooms.set(name, (room = new Set()));
  room.add(ws);
  ws.on("message", (data, isBinary) => {
    for (const other of room) {
      if (other !== ws) other.send(data, { binary: isBinary });
    }
  });
  ws.on("error", () => {}); // "close" follows
  ws.on("close", () => {
    room.delete(ws);
    if (room.size === 0 && rooms.get(name) === room) rooms.delete(name);
  });
}

http.listen(Number(port), host, () => {
  const { address, port } = http.address();
  console.log(`${address}:${port}`);
});
