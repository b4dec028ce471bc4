import Fastify from "fastify";

const application = Fastify();
application.get("/", async () => ({ hello: "fastify" }));
await application.listen({ port: 3000, host: "0.0.0.0" });
console.log("fastify listens on 3000");
