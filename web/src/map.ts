// The map of the public page: every parcel, coloured by its state.
//
//   <div class="map" data-parcels="/api/v1/public/parcels.geojson"></div>
//
// The address answers a GeoJSON FeatureCollection in CRS84 whose features are (multi)polygons with the properties
// `code`, `village`, `area_mu` and `status` (a state of RULES 1.1). When all is drawn the element gets `data-ready`;
// where it cannot be drawn it gets `data-failed="webgl"` or `data-failed="parcels"` and a sentence that says so,
// and the page's tables hold the same facts.
import {
  type ExpressionSpecification,
  type GeoJSONSource,
  LngLatBounds,
  Map as MapView,
  type MapLayerMouseEvent,
  NavigationControl,
  Popup,
  ScaleControl,
  setWorkerUrl,
  type StyleSpecification,
} from "maplibre-gl";
import { graticule } from "./graticule.js";
import { type Language, languageOf, type Words, wordsOf } from "./words.js";

type Parcels = GeoJSON.FeatureCollection<GeoJSON.Polygon | GeoJSON.MultiPolygon>;

/** What a parcel's `properties` say, each as a text to show. */
interface Facts {
  readonly code: string;
  readonly village: string;
  readonly area: string;
  readonly status: string;
}

/** One hue for each stage of a parcel's life; told apart by the colour-blind (Okabe and Ito's palette). */
const COLOURS: Readonly<Record<string, string>> = {
  draft: "#999999",
  submitted: "#f0e442",
  in_review: "#56b4e9",
  returned: "#e69f00",
  eligible: "#0072b2",
  enrolled: "#009e73",
  suspended: "#d55e00",
  rejected: "#a03030",
  superseded: "#cc79a7",
  closed: "#555555",
};
const OTHER_COLOUR = "#222222";
const OPENING_BOUNDS: [number, number, number, number] = [118.0, 28.2, 119.4, 29.5]; // Quzhou, until parcels are read
const WORKER = new URL("./maplibre-gl-worker.mjs", import.meta.url).href;

function colourExpression(): ExpressionSpecification {
  const cases = Object.entries(COLOURS).flat();
  return ["match", ["get", "status"], ...cases, OTHER_COLOUR] as unknown as ExpressionSpecification;
}

function styleOf(): StyleSpecification {
  const nothing: Parcels = { type: "FeatureCollection", features: [] };
  return {
    version: 8,
    sources: {
      graticule: { type: "geojson", data: nothing },
      parcels: { type: "geojson", data: nothing },
    },
    layers: [
      { id: "ground", type: "background", paint: { "background-color": "#f3f1e7" } },
      { id: "graticule", type: "line", source: "graticule", paint: { "line-color": "#cfcab4", "line-width": 1 } },
      {
        id: "parcels",
        type: "fill",
        source: "parcels",
        paint: { "fill-color": colourExpression(), "fill-opacity": 0.65 },
      },
      {
        id: "edges",
        type: "line",
        source: "parcels",
        paint: { "line-color": "#1c2b22", "line-width": ["interpolate", ["linear"], ["zoom"], 9, 0.4, 14, 1.6] },
      },
    ],
  };
}

/** The smallest box around all parcels; undefined when there are none. */
function boundsOf(parcels: Parcels): LngLatBounds | undefined {
  const bounds = new LngLatBounds();
  for (const { geometry } of parcels.features) {
    const polygons = geometry.type === "Polygon" ? [geometry.coordinates] : geometry.coordinates;
    for (const [outline] of polygons) for (const [x, y] of outline ?? []) bounds.extend([x ?? 0, y ?? 0]);
  }
  return bounds.isEmpty() ? undefined : bounds;
}

function factsOf(properties: GeoJSON.GeoJsonProperties, language: Language, words: Words): Facts {
  const { code, village, area_mu: area, status } = properties ?? {};
  const mu = new Intl.NumberFormat(language, { minimumFractionDigits: 2, maximumFractionDigits: 2 });
  return {
    code: String(code ?? ""),
    village: String(village ?? ""),
    area: `${mu.format(Number(area))} ${words.mu}`,
    status: words.states[String(status)] ?? String(status ?? ""),
  };
}

function popupContent(facts: Facts, words: Words): HTMLElement {
  const content = document.createElement("div");
  const title = document.createElement("strong");
  title.textContent = facts.code;
  const list = document.createElement("dl");
  const rows: [string, string][] = [
    [words.village, facts.village],
    [words.area, facts.area],
    [words.status, facts.status],
  ];
  for (const [name, value] of rows) {
    const term = document.createElement("dt");
    term.textContent = name;
    const description = document.createElement("dd");
    description.textContent = value;
    list.append(term, description);
  }
  content.append(title, list);
  return content;
}

/** A key to the colours, with the states that occur, in the order of a parcel's life. */
function legend(parcels: Parcels, words: Words): HTMLElement {
  const seen = new Set(parcels.features.map((feature) => String(feature.properties?.["status"])));
  const list = document.createElement("ul");
  list.className = "map-legend";
  for (const [status, colour] of Object.entries(COLOURS)) {
    if (!seen.has(status)) continue;
    const item = document.createElement("li");
    const swatch = document.createElement("span");
    swatch.className = "map-swatch";
    swatch.style.backgroundColor = colour;
    item.append(swatch, words.states[status] ?? status);
    list.append(item);
  }
  return list;
}

function fail(element: HTMLElement, reason: "webgl" | "parcels", sentence: string): void {
  const message = document.createElement("p");
  message.className = "map-fallback";
  message.setAttribute("role", "status");
  message.textContent = sentence;
  element.replaceChildren(message);
  element.dataset["failed"] = reason;
}

async function read(address: string): Promise<Parcels> {
  const answer = await fetch(address, { headers: { Accept: "application/geo+json" } });
  if (!answer.ok) throw new Error(`${address}: ${answer.status}`);
  return (await answer.json()) as Parcels;
}

/** An empty map, once its style is loaded. Throws where the browser has no WebGL 2. */
async function open(element: HTMLElement, words: Words): Promise<MapView> {
  setWorkerUrl(WORKER);
  const map = new MapView({
    container: element,
    style: styleOf(),
    bounds: OPENING_BOUNDS,
    attributionControl: false,
    dragRotate: false,
    pitchWithRotate: false,
    cooperativeGestures: true, // one finger scrolls the page, two move the map
    locale: { ...words.controls },
  });
  map.touchZoomRotate.disableRotation();
  map.addControl(new NavigationControl({ showCompass: false }), "top-right");
  map.addControl(new ScaleControl({ unit: "metric" }), "bottom-left");
  await map.once("load");
  return map;
}

function explainOnClick(map: MapView, language: Language, words: Words): void {
  map.on("click", "parcels", (event: MapLayerMouseEvent) => {
    const feature = event.features?.[0];
    if (!feature) return;
    new Popup({ maxWidth: "20rem" })
      .setLngLat(event.lngLat)
      .setDOMContent(popupContent(factsOf(feature.properties, language, words), words))
      .addTo(map);
  });
  map.on("mouseenter", "parcels", () => (map.getCanvas().style.cursor = "pointer"));
  map.on("mouseleave", "parcels", () => (map.getCanvas().style.cursor = ""));
}

function draw(map: MapView, parcels: Parcels): void {
  map.resize(); // the page may have been laid out anew while the parcels came
  const bounds = boundsOf(parcels);
  if (bounds) {
    map.fitBounds(bounds, { padding: 32, maxZoom: 15, animate: false });
    map.getSource<GeoJSONSource>("graticule")?.setData(graticule(bounds.toArray()));
  }
  map.getSource<GeoJSONSource>("parcels")?.setData(parcels);
}

async function show(element: HTMLElement): Promise<void> {
  const language = languageOf(document.documentElement.lang);
  const words = wordsOf(language);
  const reading = read(element.dataset["parcels"] ?? "");
  reading.catch(() => undefined); // answered below; without this a missing WebGL would leave it unhandled
  let map: MapView;
  try {
    map = await open(element, words);
  } catch {
    fail(element, "webgl", words.noWebGl);
    return;
  }
  let parcels: Parcels;
  try {
    parcels = await reading;
  } catch {
    map.remove();
    fail(element, "parcels", words.noParcels);
    return;
  }
  map.getCanvas().setAttribute("aria-label", words.map);
  explainOnClick(map, language, words);
  draw(map, parcels);
  element.after(legend(parcels, words));
  await map.once("idle");
  element.dataset["ready"] = String(parcels.features.length);
}

for (const element of document.querySelectorAll<HTMLElement>("[data-parcels]")) void show(element);
