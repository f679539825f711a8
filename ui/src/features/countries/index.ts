export { CountriesPage } from "./CountriesPage";
