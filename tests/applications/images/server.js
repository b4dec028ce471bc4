const { createServer } = require("node:http");
const sharp = require("sharp");

const picture = { create: { width: 64, height: 48, channels: 3, background: "tomato" } };

createServer(async (_, answer) => {
  answer.setHeader("content-type", "image/png");
  answer.end(await sharp(picture).resize(32).png().toBuffer());
}).listen(3000, () => console.log("images are served on 3000"));
