/** What can be done with a call from the list: copy it, save it, pass it on. */
import { getBody, getExchange, harAddress } from "../../api/client";
import type { ExchangeDetail } from "../../api/types";
import { toast } from "../../components/Toasts";
import { copyText } from "../../lib/clipboard";
import { curlCommand, MAX_BODY, type Shell } from "../../lib/curl";

/** The request of a call as a command, its body with the coding it was sent with. */
export async function curlOf(call: ExchangeDetail, shell: Shell, secrets: boolean): Promise<string> {
  const { request } = call;
  let body: Uint8Array | null = new Uint8Array();
  if (request.body.captured === "whole" && request.body.captured_size > 0) {
    body = request.body.captured_size > MAX_BODY ? null : (await getBody(call.id, "request", undefined, "wire")).bytes;
  } else if (request.body.captured !== "whole" && (request.body.size ?? 0) > 0) body = null;
  return curlCommand({ method: request.method, url: request.url, headers: request.headers, body }, shell, secrets);
}

export async function copyCurl(id: string, shell: Shell, secrets = false): Promise<void> {
  try {
    await copyText(await curlOf(await getExchange(id), shell, secrets));
    toast(shell === "powershell" ? "PowerShell command copied" : "Copied as cURL");
  } catch (error) {
    toast(`Not copied: ${error instanceof Error ? error.message : "unknown error"}`);
  }
}

export function save(address: string, name: string): void {
  const link = document.createElement("a");
  link.href = address;
  link.download = name;
  link.click();
}

export function saveHar(id: string): void {
  save(harAddress(id), `call-${id}.har`);
}

export async function copyLink(): Promise<void> {
  await copyText(location.href).then(() => toast("Link copied"), () => toast("The browser does not allow copying"));
}

type Har = { log: { entries: unknown[] } };

/** Several calls in one HAR file. */
export async function saveHars(ids: string[]): Promise<void> {
  const hars = await Promise.all(ids.map(async (id) => (await (await fetch(harAddress(id))).json()) as Har));
  const first = hars[0];
  if (!first) return;
  const all = { ...first, log: { ...first.log, entries: hars.flatMap((har) => har.log.entries) } };
  const url = URL.createObjectURL(new Blob([JSON.stringify(all)], { type: "application/json" }));
  save(url, "calls.har");
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}

export async function copyCurls(ids: string[]): Promise<void> {
  const commands = await Promise.all(ids.map(async (id) => curlOf(await getExchange(id), "posix", false)));
  await copyText(commands.join("\n\n"));
  toast(`${ids.length} calls copied as cURL`);
}
