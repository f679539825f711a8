export { PeoplePage, CallersPage } from "./PeoplePage";
export { ProfilePage } from "./ProfilePage";
