import { useEffect, useState } from "react";
import { JsonError, parseTape, type JsonTape } from "../../lib/json-tape";

/** Longer texts are read in a worker: about 10 ms of work stay on the page. */
const IN_PLACE = 300_000;

export type JsonState = { tape?: JsonTape; error?: string };

/** The text as a JSON document, or why it is none. */
export function useJson(text: string | null): JsonState {
  const [state, setState] = useState<JsonState>({});
  useEffect(() => {
    if (text === null) return setState({});
    if (text.length <= IN_PLACE) return setState(readHere(text));
    setState({});
    const worker = new Worker(new URL("./json-worker.ts", import.meta.url), { type: "module" });
    worker.onmessage = (event: MessageEvent<JsonState>) => {
      setState(event.data.tape ? { tape: { ...event.data.tape, text } } : event.data);
      worker.terminate();
    };
    worker.postMessage(text);
    return () => worker.terminate();
  }, [text]);
  return state;
}

function readHere(text: string): JsonState {
  try {
    return { tape: parseTape(text) };
  } catch (error) {
    if (error instanceof JsonError) return { error: `${error.message}, at character ${error.at}` };
    throw error;
  }
}
