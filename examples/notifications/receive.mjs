// Receives notifications:  node receive.mjs ann

import { connect } from "../../client/js/roomcast.js";

const user = process.argv[2] ?? "ann";
const backend = process.env.BACKEND_URL ?? "http://127.0.0.1:3000";
const server = process.env.ROOMCAST_URL ?? "http://127.0.0.1:8080";

async function token() {
  const response = await fetch(`${backend}/token?${new URLSearchParams({ user })}`);
  if (!response.ok) throw new Error(`${response.url}: ${response.status}`);
  return response.text();
}

const client = connect(`${server}/ws`, { token });
client.on("hello", () => console.log(`${client.user} is connected`));
client.on("direct", ({ data }) => console.log(data.text));
client.on("error", (error) => console.error(error.message, error.cause ?? ""));
