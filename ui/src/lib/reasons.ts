/** Reasons of drops in words; a reason that is not listed is shown as it is. */
const REASONS: Record<string, string> = {
  budget: "memory budget used up",
  queue_full: "queue full",
  full: "queue full",
  intake_full: "queue before the journal full",
  journal_full: "journal full",
  journal_failed: "the journal could not be written",
  journal_damaged: "the journal was damaged there",
  processor_failed: "a processor failed on it",
  exporter_failed: "the exporter failed on it",
  cancelled: "its sender gave up first",
  removed: "the target was removed first",
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
