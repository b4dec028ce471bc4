// Loaded before an application in the first start that fills its compile cache. Node.js writes that cache when it ends by itself,
// and a server ends by a signal: so it is written then, too.
const { flushCompileCache } = require("node:module");
const { isMainThread } = require("node:worker_threads");

// An application that has ended for whatever reason has loaded what it has loaded.
process.on("exit", () => flushCompileCache());

if (isMainThread) {
  process.prependListener("SIGTERM", () => {
    flushCompileCache();
    // Without this listener the signal would have ended it.
    if (process.listenerCount("SIGTERM") === 1) process.exit();
  });
}
