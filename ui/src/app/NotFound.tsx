import { Link } from "@tanstack/react-router";
import { Notice } from "../components/Notice";

export function NotFound() {
  return (
    <Notice title="There is no such page">
      <Link to="/traffic">Go to the traffic</Link>
    </Notice>
  );
}
