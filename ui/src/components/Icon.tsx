/** Line icons on a 16 px grid. They never carry meaning alone: the button around them has the name. */
const PATHS = {
  traffic: "M2 12V9m3.5 3V5M9 12V7m3.5 5V3.5M2 14.2h12",
  health: "M1.5 8.5h3l1.8-4.5 3 8 1.7-3.5h3.5",
  connect: "M6 4V1.8M10 4V1.8M4 4h8v3.5a4 4 0 0 1-8 0V4Zm4 7.5v2.7",
  sun: "M8 5a3 3 0 1 1 0 6 3 3 0 0 1 0-6Zm0-3.6v1.2m0 10.8v1.2M1.4 8h1.2m10.8 0h1.2M3.3 3.3l.9.9m7.6 7.6.9.9m0-9.4-.9.9m-7.6 7.6-.9.9",
  moon: "M13.2 9.6A5.8 5.8 0 0 1 6.4 2.8a5.6 5.6 0 1 0 6.8 6.8Z",
  search: "M7 2.2a4.8 4.8 0 1 1 0 9.6 4.8 4.8 0 0 1 0-9.6Zm3.5 8.3 3.3 3.3",
  close: "m3.8 3.8 8.4 8.4m0-8.4-8.4 8.4",
  left: "M10 3.2 5.2 8l4.8 4.8",
  right: "M6 3.2 10.8 8 6 12.8",
  down: "m3.5 6 4.5 4.5L12.5 6",
  refresh: "M13.3 8a5.3 5.3 0 1 1-1.6-3.8m1.8-1.9v2.5H11",
  zoomOut: "M7 2.2a4.8 4.8 0 1 1 0 9.6 4.8 4.8 0 0 1 0-9.6Zm3.5 8.3 3.3 3.3M5 7h4",
  play: "M4.5 2.8v10.4L13 8 4.5 2.8Z",
  pause: "M5 3v10m6-10v10",
  copy: "M5.5 5.5v-3h8v8h-3m-8-5h8v8h-8v-8Z",
  check: "m2.8 8.4 3.4 3.4 7-7.4",
  columns: "M2 3h12v10H2V3Zm4 0v10m4-10v10",
  plus: "M8 3.2v9.6M3.2 8h9.6",
  minus: "M3.2 8h9.6",
  link: "M6.8 9.2a2.8 2.8 0 0 0 4 0l2.3-2.3a2.8 2.8 0 0 0-4-4L8 4m1.2 2.8a2.8 2.8 0 0 0-4 0L2.9 9.1a2.8 2.8 0 0 0 4 4L8 12",
  open: "M9.5 2.5h4v4m0-4L7.8 8.2M12 9.5v4H2.5V4H6.5",
  keys: "M1.5 4h13v8.2h-13V4Zm2.8 2.6h0m2.5 0h0m2.5 0h0m2.5 0h0M5 9.6h6",
  download: "M8 2v8m0 0L4.8 6.8M8 10l3.2-3.2M2.5 13.5h11",
  clock: "M8 2.2a5.8 5.8 0 1 1 0 11.6A5.8 5.8 0 0 1 8 2.2Zm0 2.6V8l2.3 1.5",
  fields: "M2 4h12M4 8h8M6 12h4",
  more: "M3.5 8h0m4.5 0h0m4.5 0h0",
  gateway: "M2 3.5h4.5v9H2m12-9H9.5v9H14M6.5 8h3",
  trash: "M3 4.5h10M6.3 4.5V2.8h3.4v1.7M4.3 4.5l.6 8.7h6.2l.6-8.7M6.8 7v3.8M9.2 7v3.8",
  lock: "M4 7.2h8v6H4v-6Zm1.7 0V5.1a2.3 2.3 0 0 1 4.6 0v2.1",
  users: "M6 2.8a2.4 2.4 0 1 1 0 4.8 2.4 2.4 0 0 1 0-4.8ZM1.8 13.2c.3-2.7 1.9-4.1 4.2-4.1s3.9 1.4 4.2 4.1M10.5 3.2a2.2 2.2 0 0 1 0 4.1m1.3 2.1c1.4.5 2.2 1.8 2.4 3.8",
  overview: "M2.5 2.5h4.7v5.6H2.5V2.5Zm6.3 0h4.7v3.2H8.8V2.5Zm0 5.4h4.7v5.6H8.8V7.9Zm-6.3 2.4h4.7v3.2H2.5v-3.2Z",
  endpoints: "M2 3.5h3.5m-3.5 9h3.5M2 8h7m-1.5-4.5h6.5m-6.5 9h6.5M11 8h3M5.5 2v3M9 6.5v3m-3.5 1.5v3",
  globe: "M8 1.8a6.2 6.2 0 1 1 0 12.4A6.2 6.2 0 0 1 8 1.8Zm0 0c-4 3.6-4 8.8 0 12.4m0-12.4c4 3.6 4 8.8 0 12.4M2.2 6h11.6M2.2 10h11.6",
  warn: "M8 2 14.3 13.2H1.7L8 2Zm0 4.2v3.4m0 1.7v0",
} as const;

export type IconName = keyof typeof PATHS;

export function Icon({ name, size = 16 }: { name: IconName; size?: number }) {
  return (
    <svg width={size} height={size} viewBox="0 0 16 16" fill="none" stroke="currentColor" strokeWidth={1.5} strokeLinecap="round" strokeLinejoin="round" aria-hidden="true" focusable="false">
      <path d={PATHS[name]} />
    </svg>
  );
}
