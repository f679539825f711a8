import { execFileSync } from "node:child_process";
import { createServer, type IncomingHttpHeaders } from "node:http";
import { mkdtempSync, readdirSync } from "node:fs";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { curlCommand, type CurlRequest } from "./curl";

type Got = { method: string; url: string; headers: IncomingHttpHeaders; body: Buffer };

let got: Got | null = null;
let base = "";
const server = createServer((request, response) => {
  const parts: Buffer[] = [];
  request.on("data", (part: Buffer) => parts.push(part));
  request.on("end", () => {
    got = { method: request.method!, url: request.url!, headers: request.headers, body: Buffer.concat(parts) };
    response.end("ok");
  });
});
beforeAll(async () => {
  await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
  base = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
afterAll(() => void server.close());

/** Runs the command as a person would who pastes it, in an empty folder. */
async function run(request: CurlRequest): Promise<{ got: Got; files: string[] }> {
  got = null;
  const folder = mkdtempSync(join(tmpdir(), "curl-"));
  const { exec } = await import("node:child_process");
  await new Promise<void>((done, fail) => exec(`${curlCommand(request, "posix", true)} --silent --noproxy '*'`, { cwd: folder, shell: "/bin/sh" }, (error) => (error ? fail(error) : done())));
  return { got: got!, files: readdirSync(folder) };
}

const bytes = (text: string) => new TextEncoder().encode(text);

describe("a command pasted into a POSIX shell sends the same request", () => {
  const bodies: [string, Uint8Array][] = [
    ["text", bytes('{"a":"it\'s \\"quoted\\" $HOME `id` !x 100%"}')],
    ["@ in front", bytes("@/etc/hostname")],
    ["line breaks at the end", bytes("one\ntwo\n\n")],
    ["percent signs and backslashes with a line break", bytes("100% \\n \\0101 %s\n")],
    ["every byte", Uint8Array.from({ length: 256 }, (_, at) => at)],
    ["unicode", bytes("naïve 😀")],
    ["bidirectional control", bytes("a\u202eb")],
  ];
  test.each(bodies)("body: %s", async (_, body) => {
    const { got } = await run({ method: "POST", url: `${base}/x`, headers: [{ name: "Content-Type", value: "application/octet-stream" }], body });
    expect(got.method).toBe("POST");
    expect(got.headers["content-type"]).toBe("application/octet-stream");
    expect(new Uint8Array(got.body)).toEqual(body);
  });

  test("path, headers and method stay data", async () => {
    const { got, files } = await run({
      method: "PATCH",
      url: `${base}/a'b;touch%20x/[1-3]/{a,b}?q=$(touch owned)&r=\`touch owned\``,
      headers: [
        { name: "X-Note", value: "it's \"q\" $(touch owned) \\ `touch owned`" },
        { name: "X-Empty", value: "" },
        { name: "@/etc/passwd", value: "" },
        { name: "X-Split", value: "a\r\nInjected: yes" },
        { name: "Content-Length", value: "999" },
      ],
      body: new Uint8Array(),
    });
    expect(files).toEqual([]);
    expect(got.method).toBe("PATCH");
    expect(got.url).toBe("/a'b;touch%20x/[1-3]/{a,b}?q=$(touch%20owned)&r=`touch%20owned`");
    expect(got.headers["x-note"]).toBe("it's \"q\" $(touch owned) \\ `touch owned`");
    expect(got.headers["x-empty"]).toBe("");
    expect(got.headers["injected"]).toBeUndefined();
    expect(got.headers["x-split"]).toBe("a  Injected: yes");
  });
});

const hostile: CurlRequest = {
  method: "POST",
  url: "https://example.com/%PATH%?a=1&b=^2|calc",
  headers: [{ name: "X", value: 'a" & calc & "%USERNAME%’; calc' }, { name: "Authorization", value: "Bearer secret" }],
  body: bytes('{"a":"b & c"}'),
};

test("secrets are placeholders unless asked for", () => {
  for (const shell of ["posix", "cmd", "powershell"] as const) {
    expect(curlCommand(hostile, shell)).not.toContain("secret");
    expect(curlCommand(hostile, shell, true)).toContain("secret");
  }
});

test("for cmd every character that it reads is escaped", () => {
  const command = curlCommand(hostile, "cmd");
  expect(command).not.toMatch(/[\r\n]/);
  // No bare special character is left once the escaped ones are taken away.
  expect(command.replace(/\^[()%!^"<>&|]/g, "")).not.toMatch(/[%^"<>&|]/);
});

test("PowerShell's typographic quotes do not end a string", () => {
  const command = curlCommand(hostile, "powershell");
  expect(command).toContain("’’; calc");
  expect(command).not.toMatch(/[\r\n]/);
});

test("a body that was not kept is a file to fill in", () => {
  expect(curlCommand({ ...hostile, body: null }, "posix")).toContain("--data-binary @request-body");
});

test("a GET has no method and no body", () => {
  const command = curlCommand({ method: "GET", url: "http://a/b", headers: [], body: new Uint8Array() }, "posix");
  expect(command).toBe("curl 'http://a/b' --globoff");
  expect(execFileSync("sh", ["-n", "-c", command]).length).toBe(0);
});
