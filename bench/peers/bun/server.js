// The relay on Bun.serve: its own publish and subscribe, one topic per room. publish() leaves out the sender.
const [hostname, port] = process.argv[2].split(":");

const server = Bun.serve({
  hostname,
  port: Number(port),
  routes: {
    "/rooms/:room": (req, server) => {
      if (server.upgrade(req, { data: req.params.room })) return;
      return new Response("upgrade required", { status: 426 });
    },
  },
  fetch: () => new Response("not found", { status: 404 }),
  websocket: {
    open: (ws) => ws.subscribe(ws.data),
    message: (ws, message) => ws.publish(ws.data, message),
  },
});

console.log(`${server.hostname}:${server.port}`);
