/** Reads large JSON documents away from the page. */
import { JsonError, parseTape } from "../../lib/json-tape";

onmessage = (event: MessageEvent<string>) => {
  try {
    const tape = parseTape(event.data);
    const { kind, depth, keyStart, keyEnd, start, end, next, parent, size } = tape;
    const buffers = [kind, depth, keyStart, keyEnd, start, end, next, parent, size].map((array) => array.buffer);
    // The text stays with the page; sending it back would copy it again.
    postMessage({ tape: { ...tape, text: "" } }, { transfer: buffers as Transferable[] });
  } catch (error) {
    postMessage({ error: error instanceof JsonError ? `${error.message}, at character ${error.at}` : "it could not be read" });
  }
};
