const { WebSocketServer } = require("ws");

const server = new WebSocketServer({ port: 3000 }, () => console.log("the chat listens on 3000"));
server.on("connection", (client) => {
  client.on("message", (text) => {
    for (const other of server.clients) other.send(`somebody says: ${text}`);
  });
});
