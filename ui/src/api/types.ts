/** Short names for the shapes of the API; `schema.ts` is made from the server's OpenAPI document by `npm run api`. */
import type { components } from "./schema";

type Schemas = components["schemas"];

export type Total = Schemas["Total"];
export type ExchangeRow = Schemas["ExchangeRow"];
export type ExchangeList = Schemas["ExchangeList"];
export type StatusClass = keyof Schemas["Counts"];
export type HistogramBucket = Schemas["Bucket"];
export type Explore = Schemas["Explore"];
export type Header = Schemas["Header"];
export type Body = Schemas["Body"];
export type Timings = Schemas["Timings"];
export type ExchangeDetail = Schemas["ExchangeDetail"];
export type Field = Schemas["FieldInfo"];
export type Fields = Schemas["Fields"];
export type FieldValue = string | number | boolean | null;
export type SourceLedger = Schemas["SourceAccount"];
export type TargetLedger = Schemas["TargetAccount"];
export type Ledger = Schemas["Ledger"];
export type Setup = Schemas["Setup"];
export type ImportReport = Schemas["ImportReport"];
export type Table = Schemas["Table"];
export type Problem = Schemas["Problem"];

/** The schema leaves the type of a value open: it is of its field's type. */
export type FieldValues = Omit<Schemas["Values"], "values"> & { values: { value: FieldValue; count: number }[] };

/** What both sides of the ledger have in common. */
export type Side = Pick<SourceLedger, "name" | "offered" | "dropped" | "held">;
export type Profile = Schemas["Profile"];
export type ProfileList = Schemas["ProfileList"];
