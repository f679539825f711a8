// Starts the development stand-in for a weir: npm run mock [-- PORT [empty]]
import { runnerImport } from "vite";

const { module } = await runnerImport(new URL("../dev/mock.ts", import.meta.url).pathname);
const [port = "8002", state = "full"] = process.argv.slice(2);
const dist = new URL("../dist", import.meta.url).pathname;
const address = await module.start({ port: Number(port), empty: state === "empty", dist, perSecond: Number(process.env.CALLS_PER_SECOND ?? 3) });
console.log(`stand-in for weir at ${address}`);
