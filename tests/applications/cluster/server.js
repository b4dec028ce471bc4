const cluster = require("node:cluster");
const { createServer } = require("node:http");

const SIZE = 2;

if (cluster.isPrimary) {
  let listening = 0;
  for (let i = 0; i < SIZE; i++) cluster.fork();
  cluster.on("listening", () => {
    if (++listening === SIZE) console.log(`${SIZE} processes listen on 3000`);
  });
} else {
  createServer((_, answer) => {
    answer.setHeader("connection", "close");
    answer.end(`process ${cluster.worker.id}`);
  }).listen(3000);
}
