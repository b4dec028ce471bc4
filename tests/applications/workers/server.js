const { createServer } = require("node:http");
const { Worker, isMainThread, parentPort, workerData } = require("node:worker_threads");

if (isMainThread) {
  createServer((_, answer) => {
    const numbers = [10, 20, 30].map(
      (workerData) =>
        new Promise((resolve, reject) => {
          const worker = new Worker(__filename, { workerData });
          worker.once("message", resolve).once("error", reject);
        }),
    );
    Promise.all(numbers).then((found) => answer.end(found.join(" ")));
  }).listen(3000, () => console.log("workers wait on 3000"));
} else {
  const fibonacci = (n) => (n < 2 ? n : fibonacci(n - 1) + fibonacci(n - 2));
  parentPort.postMessage(fibonacci(workerData));
}
