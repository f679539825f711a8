export { PeoplePage } from "./PeoplePage";
export { ProfilePage } from "./ProfilePage";
