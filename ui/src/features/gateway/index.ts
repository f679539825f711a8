export { EntityPage } from "./EntityPage";
export { ListPage } from "./ListPage";
