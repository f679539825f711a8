// Makes src/features/countries/world.json from Natural Earth's countries (public domain; npm world-atlas, ISC): the outline
// of each country as an SVG path in a box of about 1000 by 435, and for those too small for the scale a point. `npm run world`.
import { readFileSync, writeFileSync } from "node:fs";

const CODES = JSON.parse(readFileSync(new URL("iso-3166.json", import.meta.url), "utf8"));
/** Natural Earth has no number for these; the first is what everybody uses, the others are drawn as the state they are in. */
const NAMES = { Kosovo: "XK", Somaliland: "SO", "N. Cyprus": "CY" };
const WIDTH = 1000;
/** The meridian in the middle: so Chukotka stays with the rest of Russia. */
const MIDDLE = 11;
/** Degrees of latitude that are drawn; nobody calls from the ice. */
const [NORTH, SOUTH] = [83.7, -57];
/** Outlines with less area than this, in square units of the box, are left out. */
const SMALL_RING = 0.35;

const load = (scale) => JSON.parse(readFileSync(new URL(`../node_modules/world-atlas/countries-${scale}.json`, import.meta.url), "utf8"));
const codeOf = (country) => CODES[country.id] ?? NAMES[country.properties.name];

/** Equal Earth: areas are true, shapes pleasant (B. Šavrič, T. Patterson, B. Jenny, 2018). */
function project([longitude, latitude]) {
  const [a1, a2, a3, a4] = [1.340264, -0.081106, 0.000893, 0.003796];
  const t = Math.asin((Math.sqrt(3) / 2) * Math.sin((latitude * Math.PI) / 180));
  const t2 = t * t;
  const t6 = t2 * t2 * t2;
  const x = ((longitude * Math.PI) / 180) * Math.cos(t) / ((Math.sqrt(3) / 2) * (a1 + 3 * a2 * t2 + t6 * (7 * a3 + 9 * a4 * t2)));
  return [x, -t * (a1 + a2 * t2 + t6 * (a3 + a4 * t2))];
}
const [HALF] = project([180, 0]);
const TOP = project([0, NORTH])[1];
const scale = WIDTH / (2 * HALF);
const place = ([longitude, latitude]) => {
  const [x, y] = project([longitude, Math.max(SOUTH, Math.min(NORTH, latitude))]);
  return [(x + HALF) * scale, (y - TOP) * scale];
};
const HEIGHT = Math.round(place([0, SOUTH])[1]);

/** The arcs of a topology, out of their differences. */
function arcsOf({ arcs, transform }) {
  return arcs.map((arc) => {
    let [x, y] = [0, 0];
    return arc.map(([dx, dy]) => [(x += dx) * transform.scale[0] + transform.translate[0], (y += dy) * transform.scale[1] + transform.translate[1]]);
  });
}

/** Longitudes counted from the middle, without the leap where a ring crosses the edge of the map. */
function unwrapped(ring) {
  let before = ((ring[0][0] - MIDDLE + 540) % 360) - 180;
  return ring.map(([longitude, latitude]) => [(before += ((longitude - MIDDLE - before + 540 + 360) % 360) - 180), latitude]);
}

function ringsOf(geometry, arcs) {
  const polygons = geometry.type === "Polygon" ? [geometry.arcs] : geometry.type === "MultiPolygon" ? geometry.arcs : [];
  const points = (ring) => ring.flatMap((at, index) => (at < 0 ? [...arcs[~at]].reverse() : arcs[at]).slice(index === 0 ? 0 : 1));
  return polygons.flatMap((polygon) => polygon.map((ring) => unwrapped(points(ring)).map(place)));
}

const area = (ring) => Math.abs(ring.reduce((sum, [x, y], at) => sum + x * ring[(at + 1) % ring.length][1] - ring[(at + 1) % ring.length][0] * y, 0) / 2);

/** Whole tenths of a unit, each point as its difference to the one before. */
function pathOf(rings) {
  return rings.map((ring) => {
    const points = ring.map(([x, y]) => [Math.round(x * 10), Math.round(y * 10)]);
    const steps = points.slice(1).map(([x, y], at) => [x - points[at][0], y - points[at][1]]).filter(([x, y]) => x !== 0 || y !== 0);
    return `M${points[0].join(" ")}l${steps.flat().join(" ")}z`.replaceAll(" -", "-");
  }).join("");
}

const coarse = load("110m");
const coarseArcs = arcsOf(coarse);
const rings = new Map();
for (const country of coarse.objects.countries.geometries) {
  const code = codeOf(country);
  if (!code || code === "AQ") continue;
  rings.set(code, [...(rings.get(code) ?? []), ...ringsOf(country, coarseArcs)]);
}
for (const [code, all] of rings) {
  const largest = Math.max(...all.map(area));
  rings.set(code, all.filter((ring) => area(ring) >= Math.min(SMALL_RING, largest)));
}
// Open sea at both sides is cut off.
const across = [...rings.values()].flat(2).map(([x]) => x);
const left = Math.floor(Math.min(...across)) - 4;
const width = Math.ceil(Math.max(...across)) + 4 - left;
const outlines = Object.fromEntries([...rings].sort(([a], [b]) => (a < b ? -1 : 1)).map(([code, all]) => [code, pathOf(all.map((ring) => ring.map(([x, y]) => [x - left, y])))]));

const fine = load("50m");
const fineArcs = arcsOf(fine);
const points = {};
for (const country of fine.objects.countries.geometries) {
  const code = codeOf(country);
  if (!code || outlines[code] || code === "AQ") continue;
  const largest = ringsOf(country, fineArcs).sort((a, b) => area(b) - area(a))[0];
  if (!largest) continue;
  const middle = (axis) => Math.round(largest.reduce((sum, point) => sum + point[axis], 0) / largest.length);
  if (middle(0) - left > 0 && middle(0) - left < width) points[code] = [middle(0) - left, middle(1)];
}

const out = new URL("../src/features/countries/world.json", import.meta.url);
writeFileSync(out, `${JSON.stringify({ width, height: HEIGHT, outlines, points })}\n`);
console.log(`${Object.keys(outlines).length} outlines, ${Object.keys(points).length} points, ${width} by ${HEIGHT}, ${readFileSync(out).length} bytes`);
