const { createServer } = require("node:http");
const { ClassicLevel } = require("classic-level");

const store = new ClassicLevel("/data/visits");

createServer(async (_, answer) => {
  const visits = Number((await store.get("visits")) ?? 0) + 1;
  await store.put("visits", String(visits), { sync: true });
  answer.end(`visit ${visits}`);
}).listen(3000, () => console.log("the counter listens on 3000"));

process.on("SIGTERM", async () => {
  await store.close();
  process.exit(0);
});
