/** Shows a component in a made-up document, for tests. */
import { QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { act, type ReactNode } from "react";
import { createRoot, type Root } from "react-dom/client";

(globalThis as { IS_REACT_ACT_ENVIRONMENT?: boolean }).IS_REACT_ACT_ENVIRONMENT = true;

let shown: Root | null = null;

export async function show(node: ReactNode): Promise<HTMLElement> {
  await act(async () => shown?.unmount());
  const place = document.createElement("div");
  const root = createRoot(place);
  shown = root;
  document.body.replaceChildren(place);
  const client = new QueryClient({ defaultOptions: { queries: { retry: false } } });
  await act(async () => root.render(<QueryClientProvider client={client}>{node}</QueryClientProvider>));
  return place;
}

/** Waits for effects and answers that are under way. */
export const settle = (): Promise<void> => act(async () => void (await new Promise((done) => setTimeout(done, 30))));

/** Answers calls of the API by their address. */
export function answerWith(answers: Record<string, () => Response>): void {
  globalThis.fetch = (async (input: RequestInfo | URL) => {
    const address = String(input);
    const found = Object.entries(answers).find(([start]) => address.startsWith(start));
    return found ? found[1]() : new Response(JSON.stringify({ title: "Not found", status: 404, detail: address }), { status: 404, headers: { "x-request-id": "r-1" } });
  }) as typeof fetch;
}
