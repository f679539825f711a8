// Node's own server with moesif-nodejs, called over HTTP: server.cjs ADDRESS APPLICATION_ID
// Prints what its callers saw, then waits until its input ends: events leave in the background.
"use strict";

const http = require("node:http");
const moesif = require("moesif-nodejs");

const [address, applicationId] = process.argv.slice(2);
const middleware = moesif({
  applicationId,
  baseUri: address,
  batchSize: 25,
  batchMaxTime: 1000,
  identifyUser: (request) => request.headers["x-user"],
  identifyCompany: () => "acme",
  getMetadata: () => ({ shard: 7 }),
  callback: (error) => error && console.error("moesif:", error),
});

const server = http.createServer((request, response) => {
  middleware(request, response, () => {
    const pieces = [];
    request.on("data", (piece) => pieces.push(piece));
    request.on("end", () => {
      const body = Buffer.concat(pieces).toString();
      response.statusCode = request.method === "POST" ? 201 : 200;
      response.setHeader("content-type", "application/json");
      response.end(JSON.stringify({ length: body.length }));
    });
  });
});

async function call(path, user, body) {
  const { port } = server.address();
  const answer = await fetch(`http://127.0.0.1:${port}${path}`, {
    method: body ? "POST" : "GET",
    headers: { "x-user": user, ...(body && { "content-type": "application/json" }) },
    body: body && JSON.stringify(body),
  });
  return { status: answer.status, why: answer.headers.get("x-why"), text: await answer.text() };
}

// The SDK answers calls back, or with a promise when there is no callback.
const told = (method, value) =>
  new Promise((resolve, reject) =>
    middleware[method](value, (error, ok) => (error ? reject(error) : resolve(ok))),
  );

async function main() {
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  // Configuration and rules are fetched in the background.
  for (let round = 0; round < 600; round += 1) {
    if ((await call("/forbidden/0", "nobody")).status === 451) break;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  const seen = {};
  seen.list = (await call("/items?page=2", "ann")).status;
  seen.create = (await call("/items", "ann", { name: "lamp", password: "s3cr3t" })).status;
  const forbidden = await call("/forbidden/1", "ann");
  seen.forbidden = [forbidden.status, forbidden.why, JSON.parse(forbidden.text)];
  const debtor = await call("/items", "debtor");
  seen.debtor = [debtor.status, JSON.parse(debtor.text)];

  await told("updateUser", { userId: "ann", companyId: "acme", metadata: { name: "Ann", plan: "free" } });
  await told("updateUsersBatch", [
    { userId: "ann", metadata: { plan: "gold" } },
    { userId: "bob", metadata: { email: "bob@acme.example" } },
  ]);
  await told("updateCompany", { companyId: "acme", companyDomain: "acme.example", metadata: { size: 12 } });
  await told("updateCompaniesBatch", [{ companyId: "other" }]);
  await told("updateSubscription", { subscriptionId: "sub-1", companyId: "acme", status: "active" });
  await told("sendAction", {
    actionName: "Clicked Sign Up",
    userId: "ann",
    request: { uri: "https://acme.example/pricing", time: new Date() },
    metadata: { button: "blue" },
  }).catch((error) => {
    seen.action = String(error);
  });

  console.log("saw", JSON.stringify(seen));
  process.stdin.resume();
  process.stdin.on("end", () => process.exit(0));
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
