/** The lines of the first-run page, with the addresses of this weir in them. */
import type { Setup } from "../../api/types";

export type Addresses = { proxy: string; admin: string; server: string };

/** Addresses as seen from the reader's browser: weir knows its ports, the browser knows the host it came through. */
export function addressesFor(setup: Setup["addresses"], page: { protocol: string; hostname: string; origin: string }): Addresses {
  const reach = (listen: string | null, fallbackPort: number) => {
    const [, host = "", port = String(fallbackPort)] = /^(?:[a-z]+:\/\/)?(\[[^\]]+\]|[^:/]*)(?::(\d+))?/i.exec(listen ?? "") ?? [];
    const everywhere = host === "" || host === "0.0.0.0" || host === "[::]";
    return `http://${everywhere ? page.hostname : host}:${port}`;
  };
  return { proxy: reach(setup.proxy, 8000), admin: reach(setup.admin, 8001), server: page.origin };
}

const quoted = (text: string) => `'${text.replaceAll("'", `'\\''`)}'`;

/** A service, a route and a first call through the gateway. */
export function gatewayCommands(addresses: Addresses, upstream: string): { title: string; text: string }[] {
  return [
    { title: "Tell the gateway where your API is", text: `curl -X POST ${addresses.admin}/services \\\n  -d name=my-api -d url=${quoted(upstream)}` },
    { title: "Choose the path it answers on", text: `curl -X POST ${addresses.admin}/services/my-api/routes \\\n  -d name=my-api -d 'paths[]=/my-api'` },
    { title: "Make the first call", text: `curl -i ${addresses.proxy}/my-api/` },
  ];
}

export type Sender = { key: string; name: string; about: string; text: string };

/** Programs that report already and need only another address. */
export function senders(addresses: Addresses, token: string): Sender[] {
  const server = new URL(addresses.server);
  const port = server.port || (server.protocol === "https:" ? "443" : "80");
  const https = server.protocol === "https:";
  const kong = "http://localhost:8001";
  return [
    {
      key: "galileo", name: "Kong galileo plugin", about: "on your Kong: the plugin as you know it, with weir as its collector",
      text: `curl -X POST ${kong}/plugins \\\n  -d name=galileo -d config.service_token=${quoted(token)} \\\n  -d config.host=${server.hostname} -d config.port=${port} \\\n  -d config.https=${https}`,
    },
    {
      key: "moesif", name: "Kong Moesif plugin or a Moesif SDK", about: "the plugin and every SDK take the base address",
      text: `curl -X POST ${kong}/plugins \\\n  -d name=moesif -d config.application_id=${quoted(token)} \\\n  -d config.api_endpoint=${addresses.server}`,
    },
    {
      key: "runscope", name: "Kong runscope plugin", about: "messages arrive in the bucket you name",
      text: `curl -X POST ${kong}/plugins \\\n  -d name=runscope -d config.bucket_key=my-api \\\n  -d config.access_token=${quoted(token)} \\\n  -d config.api_endpoint=${addresses.server}`,
    },
    {
      key: "alf", name: "Any program that sends ALF", about: "one request, to see it work",
      text: `curl -X POST ${addresses.server}/1.1.0/single -H 'Content-Type: application/json' \\\n  -d '${JSON.stringify(exampleAlf(token))}'`,
    },
  ];
}

function exampleAlf(token: string) {
  return {
    version: "1.1.0", serviceToken: token, har: { log: { creator: { name: "hand", version: "1" }, entries: [{
      startedDateTime: new Date().toISOString(), time: 12, serverIPAddress: "127.0.0.1", clientIPAddress: "127.0.0.1",
      request: { method: "GET", url: "http://api.example.com/hello", httpVersion: "HTTP/1.1", headers: [], queryString: [], headersSize: 40, bodySize: 0 },
      response: { status: 200, statusText: "OK", httpVersion: "HTTP/1.1", headers: [], headersSize: 40, bodySize: 0 },
      timings: { send: 1, wait: 10, receive: 1 },
    }] } },
  };
}

/** The format of a file by its name and first bytes. */
export function guessFormat(name: string, head: string): "har" | "json" | "combined" | "common" {
  const start = head.trimStart();
  if (/\.har$/i.test(name) || /^\{\s*"log"\s*:/.test(start)) return "har";
  if (start.startsWith("{")) return "json";
  const line = start.split("\n")[0] ?? "";
  return /"\s+\d{3}\s+(?:\d+|-)\s+"/.test(line) ? "combined" : "common";
}
