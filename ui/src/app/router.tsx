import { createRootRoute, createRoute, createRouter, lazyRouteComponent, redirect } from "@tanstack/react-router";
import { CallPage } from "../features/call/CallPage";
import { HealthPage } from "../features/health/HealthPage";
import { StartPage } from "../features/start/StartPage";
import { TrafficPage } from "../features/traffic/TrafficPage";
import { Frame } from "./Frame";
import { NotFound } from "./NotFound";
import { formatAddress, parseAddress, readSearch } from "./view";

const root = createRootRoute({ component: Frame, validateSearch: readSearch, notFoundComponent: NotFound });

const index = createRoute({
  getParentRoute: () => root,
  path: "/",
  beforeLoad: ({ search }) => {
    throw redirect({ to: "/traffic", search, replace: true });
  },
});
const traffic = createRoute({ getParentRoute: () => root, path: "/traffic", component: TrafficPage });
const call = createRoute({ getParentRoute: () => root, path: "/traffic/$id", component: CallPage });
const health = createRoute({ getParentRoute: () => root, path: "/health", component: HealthPage });
const start = createRoute({ getParentRoute: () => root, path: "/connect", component: StartPage });

// Loaded when they are first opened: most visits are to the traffic.
const overview = createRoute({ getParentRoute: () => root, path: "/overview", component: lazyRouteComponent(() => import("../features/overview/OverviewPage"), "OverviewPage") });
const people = () => import("../features/people");
const users = createRoute({ getParentRoute: () => root, path: "/users", component: lazyRouteComponent(people, "PeoplePage") });
const user = createRoute({ getParentRoute: () => root, path: "/users/$id", component: lazyRouteComponent(people, "ProfilePage") });
const companies = createRoute({ getParentRoute: () => root, path: "/companies", component: lazyRouteComponent(people, "PeoplePage") });
const company = createRoute({ getParentRoute: () => root, path: "/companies/$id", component: lazyRouteComponent(people, "ProfilePage") });
// Endpoints, errors and callers are one page that cuts the calls in different ways.
const breakdown = lazyRouteComponent(() => import("../features/breakdown"), "BreakdownPage");
const endpoints = createRoute({ getParentRoute: () => root, path: "/endpoints", component: breakdown });
const errors = createRoute({ getParentRoute: () => root, path: "/errors", component: breakdown });
const callers = createRoute({ getParentRoute: () => root, path: "/callers", component: lazyRouteComponent(people, "CallersPage") });
const countries = createRoute({ getParentRoute: () => root, path: "/countries", component: lazyRouteComponent(() => import("../features/countries"), "CountriesPage") });
const gateway = createRoute({
  getParentRoute: () => root,
  path: "/gateway",
  beforeLoad: () => {
    throw redirect({ to: "/gateway/$collection", params: { collection: "services" }, replace: true });
  },
});
const entities = createRoute({ getParentRoute: () => root, path: "/gateway/$collection", component: lazyRouteComponent(() => import("../features/gateway"), "ListPage") });
const entity = createRoute({ getParentRoute: () => root, path: "/gateway/$collection/$id", component: lazyRouteComponent(() => import("../features/gateway"), "EntityPage") });

export const router = createRouter({
  routeTree: root.addChildren([index, traffic, call, health, start, overview, endpoints, errors, countries, callers, users, user, companies, company, gateway, entities, entity]),
  parseSearch: parseAddress,
  stringifySearch: formatAddress,
  defaultPreload: false,
});

declare module "@tanstack/react-router" {
  interface Register {
    router: typeof router;
  }
}
