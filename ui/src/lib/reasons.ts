/** Reasons of drops in words; a reason that is not listed is shown as it is. */
const REASONS: Record<string, string> = {
  budget: "memory budget used up",
  queue_full: "queue full",
  full: "queue full",
  journal_full: "journal full",
  evicted: "journal full before this target had read it",
  rejected: "rejected as malformed",
  malformed: "malformed",
  too_large: "too large",
  retries: "given up after the last retry",
  expired: "given up after the last retry",
  refused: "refused by the receiver",
  sampled: "sampled out",
  shutdown: "stopped before it could be written",
};

export const reasonText = (reason: string): string => REASONS[reason] ?? reason.replaceAll("_", " ");
