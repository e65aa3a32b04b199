// The relay on Socket.IO: its own rooms and its own protocol. Transport is WebSocket alone, and the upgrade request is let go of as
// its documentation advises for little memory, here when the handshake has taken the query from it.
import { createServer } from "node:http";
import { Server } from "socket.io";

const [host, port] = process.argv[2].split(":");
const http = createServer();
const io = new Server(http, { transports: ["websocket"], serveClient: false });

io.on("connection", (socket) => {
  const { room } = socket.handshake.query;
  socket.conn.request = null;
  socket.join(room);
  socket.on("msg", (message) => socket.to(room).emit("msg", message));
});

http.listen(Number(port), host, () => {
  const { address, port } = http.address();
  console.log(`${address}:${port}`);
});
