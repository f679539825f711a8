/**
 * A captured request as a command to paste. What was captured is hostile: it must stay data on its way through the
 * shell and through curl's own reading of its arguments.
 */
import type { Header } from "../api/types";

export type Shell = "posix" | "cmd" | "powershell";

export type CurlRequest = {
  method: string;
  url: string;
  headers: Header[];
  /** The bytes as sent; `null` when they were not kept. */
  body: Uint8Array | null;
};

const SECRET = /^(authorization|proxy-authorization|cookie|x-api-key|api-key|apikey|x-auth-token|x-access-token|x-csrf-token)$/i;
const TOKEN = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
/** Curl makes these itself from the URL and the body. */
const OWN = /^(content-length|transfer-encoding|connection|keep-alive|proxy-connection|te|upgrade|expect)$/i;
/** More than this is better fetched as a file. */
export const MAX_BODY = 64 * 1024;

export const isSecret = (name: string): boolean => SECRET.test(name);

/** Header values are one line in every shell. */
const oneLine = (text: string) => text.replace(/[\u0000-\u001f\u007f]/g, " ");

/** The headers that make sense on a command line. A name that is not a token (`@/etc/passwd`) would be read by curl as a file. */
function usableHeaders(request: CurlRequest, secrets: boolean): Header[] {
  const host = hostOf(request.url);
  return request.headers
    .filter(({ name, value }) => TOKEN.test(name) && !OWN.test(name) && !(name.toLowerCase() === "host" && value === host))
    .map(({ name, value }) => ({ name, value: isSecret(name) && !secrets ? `<${name.toLowerCase()}>` : oneLine(value) }));
}

function hostOf(url: string): string {
  return /^[a-z]+:\/\/([^/?#]*)/i.exec(url)?.[1] ?? "";
}

const printable = (bytes: Uint8Array) => bytes.every((byte) => byte >= 0x20 && byte < 0x7f);

function decode(bytes: Uint8Array): string | null {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return null;
  }
}

/** Whether the bytes can be written between quotes without a line break or anything invisible. */
const isPlain = (bytes: Uint8Array) => printable(bytes) || (decode(bytes) !== null && !/[\u0000-\u001f\u007f-\u009f\u2028-\u202e\u2066-\u2069]/.test(decode(bytes)!));

/** The URL on one line, so that nothing in it ends the argument. */
const safeUrl = (url: string) => url.replace(/[\u0000-\u0020\u007f]/g, (character) => `%${character.charCodeAt(0).toString(16).toUpperCase().padStart(2, "0")}`);

export function curlCommand(request: CurlRequest, shell: Shell, secrets = false): string {
  const headers = usableHeaders(request, secrets);
  if (shell === "powershell") return powershell(request, headers);
  return shell === "cmd" ? cmd(request, headers) : posix(request, headers);
}

const posixQuote = (text: string) => `'${text.replaceAll("'", `'\\''`)}'`;

/** Bytes as an argument of `printf '%b'`, which every POSIX shell has: octal for all that is not plain ASCII. */
function octal(bytes: Uint8Array): string {
  let text = "";
  for (const byte of bytes) {
    const plain = byte >= 0x20 && byte < 0x7f && byte !== 0x27 && byte !== 0x5c;
    text += plain ? String.fromCharCode(byte) : `\\0${byte.toString(8).padStart(3, "0")}`;
  }
  return text;
}

function posix(request: CurlRequest, headers: Header[]): string {
  const lines = [`curl ${posixQuote(safeUrl(request.url))} --globoff`];
  const body = request.body;
  if (request.method !== "GET" || body?.length) lines.push(`-X ${posixQuote(oneLine(request.method))}`);
  for (const { name, value } of headers) lines.push(`-H ${posixQuote(value === "" ? `${name};` : `${name}: ${value}`)}`);
  let before = "";
  if (body === null) lines.push("--data-binary @request-body");
  else if (body.length > MAX_BODY) lines.push("--data-binary @request-body");
  else if (body.length > 0 && isPlain(body)) lines.push(`--data-raw ${posixQuote(decode(body)!)}`);
  else if (body.length > 0) {
    before = `printf '%b' '${octal(body)}' | `;
    lines.push("--data-binary @-");
  }
  return before + lines.join(" \\\n  ");
}

/** For cmd.exe: quoted for the C runtime, then every character that cmd reads is escaped with a caret. */
function cmdQuote(text: string): string {
  const argument = `"${text.replace(/(\\*)"/g, '$1$1\\"').replace(/(\\+)$/, "$1$1")}"`;
  return argument.replace(/[()%!^"<>&|]/g, "^$&");
}

function cmd(request: CurlRequest, headers: Header[]): string {
  const parts = [`curl ${cmdQuote(safeUrl(request.url))} --globoff`];
  const body = request.body;
  if (request.method !== "GET" || body?.length) parts.push(`-X ${cmdQuote(oneLine(request.method))}`);
  for (const { name, value } of headers) parts.push(`-H ${cmdQuote(value === "" ? `${name};` : `${name}: ${value}`)}`);
  if (body === null || body.length > 4096 || (body.length > 0 && !isPlain(body))) parts.push("--data-binary @request-body");
  else if (body.length > 0) parts.push(`--data-raw ${cmdQuote(decode(body)!)}`);
  return parts.join(" ");
}

/** PowerShell takes typographic quotes for quotes, too. */
const powershellQuote = (text: string) => `'${text.replace(/['\u2018-\u201b]/g, "$&$&")}'`;

function powershell(request: CurlRequest, headers: Header[]): string {
  const parts = [`Invoke-WebRequest -UseBasicParsing -Uri ${powershellQuote(safeUrl(request.url))} -Method ${powershellQuote(oneLine(request.method))}`];
  const type = headers.find(({ name }) => name.toLowerCase() === "content-type");
  const rest = headers.filter((header) => header !== type);
  if (rest.length > 0) parts.push(`-Headers @{ ${rest.map(({ name, value }) => `${powershellQuote(name)} = ${powershellQuote(value)}`).join("; ")} }`);
  if (type) parts.push(`-ContentType ${powershellQuote(type.value)}`);
  const body = request.body;
  if (body === null || body.length > MAX_BODY) parts.push("-InFile 'request-body'");
  else if (body.length > 0) parts.push(printable(body) ? `-Body ${powershellQuote(decode(body)!)}` : `-Body ([Convert]::FromBase64String('${base64(body)}'))`);
  return parts.join(" ");
}

function base64(bytes: Uint8Array): string {
  let text = "";
  for (const byte of bytes) text += String.fromCharCode(byte);
  return btoa(text);
}
