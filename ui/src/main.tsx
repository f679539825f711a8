import "./app/base.css";
import { QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { RouterProvider } from "@tanstack/react-router";
import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
import { ApiError } from "./api/client";
import { router } from "./app/router";
import { applyTheme } from "./app/settings";

applyTheme();

const client = new QueryClient({
  defaultOptions: {
    queries: {
      // A refusal stays a refusal; only a server that does not answer is asked again.
      retry: (count, error) => error instanceof ApiError && error.offline && count < 3,
      retryDelay: (count) => Math.min(500 * 2 ** count, 5000),
      refetchOnWindowFocus: false,
      staleTime: 10_000,
      networkMode: "always", // the server is often on this machine
    },
  },
});

createRoot(document.getElementById("root")!).render(
  <StrictMode>
    <QueryClientProvider client={client}>
      <RouterProvider router={router} />
    </QueryClientProvider>
  </StrictMode>,
);
