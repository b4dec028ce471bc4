// Loaded before an application in the first start that fills its compile cache. Node.js writes that cache when it ends by itself,
// and a server does not: so a signal ends it here.
const { flushCompileCache } = require("node:module");
const { isMainThread } = require("node:worker_threads");

// An application that has ended for whatever reason has loaded what it has loaded.
process.on("exit", () => flushCompileCache());

if (isMainThread) {
  process.prependListener("SIGUSR2", () => process.exit());
}
