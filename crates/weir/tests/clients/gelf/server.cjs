// A GELF server over UDP: server.cjs MODULES
// Prints its address, then after each line of input the messages so far. Ends with its input.
"use strict";

const dgram = require("node:dgram");
const path = require("node:path");
const readline = require("node:readline");

const [modules] = process.argv.slice(2);
const server = require(path.join(modules, "graygelf", "server"))();
const messages = [];
server.on("message", (message) => messages.push(message));

// It takes no port 0, so a free one is looked for.
const probe = dgram.createSocket("udp4");
probe.bind(0, "127.0.0.1", () => {
  const { port } = probe.address();
  probe.close(() => {
    server.listen(port, "127.0.0.1");
    server._udp.once("listening", () => console.log(`127.0.0.1:${port}`));
  });
});

const input = readline.createInterface({ input: process.stdin });
input.on("line", () => console.log(JSON.stringify(messages)));
input.on("close", () => process.exit());
