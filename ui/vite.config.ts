import react from "@vitejs/plugin-react";
import { defineConfig } from "vitest/config";

// `npm run dev` serves the page and passes API calls on to a weir (or to `npm run mock`).
const api = process.env.WEIR_URL ?? "http://127.0.0.1:8002";

export default defineConfig({
  plugins: [react()],
  build: {
    target: "es2022",
    assetsInlineLimit: 0, // data: URLs would need a wider content policy
    modulePreload: { polyfill: false },
    reportCompressedSize: false,
    // What all pages share stands in two files, not in one for each set of pages that share something.
    rolldownOptions: { output: { codeSplitting: { groups: [{ name: "vendor", test: /node_modules/ }, { name: "shared", test: /src\/(api|app|components|lib)\// }] } } },
  },
  server: { host: "127.0.0.1", proxy: { "/api": { target: api, changeOrigin: false }, "/admin": { target: api, changeOrigin: false } } },
  test: {
    environment: "node", // tests of components ask for happy-dom themselves
    include: ["src/**/*.test.{ts,tsx}"],
    maxWorkers: 2,
  },
});
