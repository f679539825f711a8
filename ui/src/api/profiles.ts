/** Users and companies, as reporters described them. */
import { address, json, send } from "./client";
import type { Profile, ProfileList } from "./types";

export type ProfileKind = "users" | "companies";

export function listProfiles(kind: ProfileKind, ask: { search?: string; company?: string; limit: number; cursor?: string }, signal?: AbortSignal): Promise<ProfileList> {
  return json(address(`/${kind}`, ask), { signal });
}

export function getProfile(kind: ProfileKind, id: string, signal?: AbortSignal): Promise<Profile> {
  return json(address(`/${kind}/${encodeURIComponent(id)}`, {}), { signal });
}

/** Forgets what was said; the calls stay. */
export async function forgetProfile(kind: ProfileKind, id: string): Promise<void> {
  await send(address(`/${kind}/${encodeURIComponent(id)}`, {}), { method: "DELETE" });
}
