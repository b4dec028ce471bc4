const { readdirSync } = require("node:fs");
const express = require("express");
const { ESLint } = require("eslint");
const webpack = require("webpack");

const packages = readdirSync("node_modules")
  .filter((name) => !name.startsWith("."))
  .flatMap((name) => (name.startsWith("@") ? readdirSync(`node_modules/${name}`) : [name]));

const application = express();
application.get("/", (_, answer) =>
  answer.send(`${packages.length} packages, eslint ${ESLint.version}, webpack ${webpack.version}`),
);
application.listen(3000, () => console.log("many packages listen on 3000"));
