// Meridians and parallels in place of a base map, so that a reader sees scale and position without any tile server.

const STEPS_DEGREES = [0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10] as const;
const LINES_ACROSS = 8;

/** The whole multiples of `step` in [from, to], computed from integers so that errors do not add up. */
function multiples(from: number, to: number, step: number): number[] {
  const first = Math.ceil(from / step);
  const count = Math.max(0, Math.floor(to / step) - first + 1);
  return Array.from({ length: count }, (_, index) => (first + index) * step);
}

/** Lines over the box [[west, south], [east, north]] (degrees) and as much again on each side. */
export function graticule([[west, south], [east, north]]: [[number, number], [number, number]]): GeoJSON.FeatureCollection {
  const extent = Math.max(east - west, north - south);
  const step = STEPS_DEGREES.find((degrees) => extent / degrees <= LINES_ACROSS) ?? 10;
  const [left, right] = [west - extent, east + extent];
  const [bottom, top] = [Math.max(south - extent, -85), Math.min(north + extent, 85)];
  const lines = [
    ...multiples(left, right, step).map((x) => [[x, bottom], [x, top]]),
    ...multiples(bottom, top, step).map((y) => [[left, y], [right, y]]),
  ];
  const geometry: GeoJSON.MultiLineString = { type: "MultiLineString", coordinates: lines };
  return { type: "FeatureCollection", features: [{ type: "Feature", properties: {}, geometry }] };
}
