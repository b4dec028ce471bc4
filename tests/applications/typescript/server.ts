import { createServer, type IncomingMessage, type ServerResponse } from "node:http";

interface Greeting {
  readonly hello: string;
}

const greeting: Greeting = { hello: "TypeScript" };

createServer((_: IncomingMessage, answer: ServerResponse): void => {
  answer.setHeader("content-type", "application/json");
  answer.end(JSON.stringify(greeting));
}).listen(3000, () => console.log("TypeScript listens on 3000"));
