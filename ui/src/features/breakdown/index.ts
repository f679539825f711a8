export { BreakdownPage } from "./BreakdownPage";
