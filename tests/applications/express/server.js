const express = require("express");

const application = express();
application.get("/", (_, answer) => answer.send("Hello from express"));
const { PORT = 3000, HOST } = process.env;
application.listen(PORT, HOST, () => console.log(`express listens on ${PORT}`));
