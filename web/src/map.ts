// The map of the public page: every parcel, coloured by its state.
//
//   <div class="map" data-tiles="/tiles/parcels.json"></div>
//
// The address answers TileJSON; its tiles lie at `/tiles/parcels/{z}/{x}/{y}.mvt`. Their layer `parcels` has polygons
// with the properties `code`, `village`, `area_mu`, `status` (a state of RULES 1.1) and `masked`; where these are too
// small to see a tile has the layer `dots` instead, a point each with its `status`, and where there are more still the
// layer `places`, points that say how many there are (`parcels`). When all in view
// is drawn the element gets `data-ready`, the number of parcels; where it cannot be drawn it gets `data-failed="webgl"`
// or `data-failed="parcels"` and a sentence that says so, and the page's tables hold the same facts.
import {
  type ExpressionSpecification,
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

/** What the page reads of the tiles' description (TileJSON 3.0, with ours beside it). */
interface Description {
  readonly bounds?: [number, number, number, number];
  readonly maxzoom: number;
  readonly parcels: number;
  readonly statuses: Readonly<Record<string, number>>;
}

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

const SMALL_COUNT = 20;
const LARGE_COUNT = 5000;

function styleOf(tiles: string, description: Description): StyleSpecification {
  const bounds = description.bounds ?? OPENING_BOUNDS;
  const lines = graticule([
    [bounds[0], bounds[1]],
    [bounds[2], bounds[3]],
  ]);
  return {
    version: 8,
    sources: {
      graticule: { type: "geojson", data: lines },
      parcels: { type: "vector", tiles: [tiles], minzoom: 0, maxzoom: description.maxzoom, bounds },
    },
    layers: [
      { id: "ground", type: "background", paint: { "background-color": "#f3f1e7" } },
      { id: "graticule", type: "line", source: "graticule", paint: { "line-color": "#cfcab4", "line-width": 1 } },
      {
        id: "hidden",
        type: "line",
        source: "parcels",
        "source-layer": "parcels",
        filter: ["get", "masked"],
        paint: { "line-color": colourExpression(), "line-width": 1.5, "line-dasharray": [3, 2] },
      },
      {
        id: "parcels",
        type: "fill",
        source: "parcels",
        "source-layer": "parcels",
        paint: {
          "fill-color": colourExpression(),
          "fill-opacity": ["case", ["get", "masked"], 0.12, 0.65],
        },
      },
      {
        id: "edges",
        type: "line",
        source: "parcels",
        "source-layer": "parcels",
        filter: ["!", ["get", "masked"]],
        paint: { "line-color": "#1c2b22", "line-width": ["interpolate", ["linear"], ["zoom"], 9, 0.3, 14, 1.6] },
      },
      {
        id: "dots",
        type: "circle",
        source: "parcels",
        "source-layer": "dots",
        paint: { "circle-color": colourExpression(), "circle-radius": 2.2 },
      },
      {
        id: "places",
        type: "circle",
        source: "parcels",
        "source-layer": "places",
        paint: {
          "circle-color": "#1d5c3c",
          "circle-opacity": 0.75,
          "circle-stroke-color": "#fbfaf5",
          "circle-stroke-width": 1,
          "circle-radius": ["interpolate", ["linear"], ["ln", ["get", "parcels"]], 0, 5, Math.log(SMALL_COUNT), 11, Math.log(LARGE_COUNT), 20],
        },
      },
      {
        id: "counts",
        type: "symbol",
        source: "parcels",
        "source-layer": "places",
        filter: [">=", ["get", "parcels"], SMALL_COUNT],
        layout: { "text-field": ["to-string", ["get", "parcels"]], "text-size": 11 },
        paint: { "text-color": "#ffffff" },
      },
    ],
  };
}

function factsOf(properties: GeoJSON.GeoJsonProperties, language: Language, words: Words): Facts {
  const { code, village, area_mu: area, status, masked } = properties ?? {};
  const mu = new Intl.NumberFormat(language, { minimumFractionDigits: 2, maximumFractionDigits: 2 });
  return {
    code: String(code ?? ""),
    village: masked ? words.hidden : String(village ?? ""),
    area: masked ? words.about.replace("{area}", String(area)) : `${mu.format(Number(area))} ${words.mu}`,
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

/**
 * A key to the colours, with the states that occur, in the order of a parcel's life. A state that is pressed is not
 * shown until it is pressed again.
 */
function legend(map: MapView, description: Description, language: Language, words: Words): HTMLElement {
  const list = document.createElement("ul");
  list.className = "map-legend";
  const left = new Set<string>();
  const number = new Intl.NumberFormat(language);
  for (const [status, colour] of Object.entries(COLOURS)) {
    const count = description.statuses[status];
    if (!count) continue;
    const item = document.createElement("li");
    const button = document.createElement("button");
    button.type = "button";
    button.setAttribute("aria-pressed", "true");
    button.title = words.toggle;
    const swatch = document.createElement("span");
    swatch.className = "map-swatch";
    swatch.style.backgroundColor = colour;
    const counted = document.createElement("span");
    counted.className = "map-count";
    counted.textContent = number.format(count);
    button.append(swatch, words.states[status] ?? status, " ", counted);
    button.addEventListener("click", () => {
      if (!left.delete(status)) left.add(status);
      button.setAttribute("aria-pressed", String(!left.has(status)));
      showOnly(map, left);
    });
    item.append(button);
    list.append(item);
  }
  return list;
}

/** Leave states out. Counts of many parcels are of all states, so they go while one is left out. */
function showOnly(map: MapView, left: ReadonlySet<string>): void {
  const shown: ExpressionSpecification = ["!", ["in", ["get", "status"], ["literal", [...left]]]];
  map.setFilter("parcels", shown);
  map.setFilter("dots", shown);
  map.setFilter("edges", ["all", ["!", ["get", "masked"]], shown]);
  map.setFilter("hidden", ["all", ["get", "masked"], shown]);
  for (const layer of ["places", "counts"]) {
    map.setPaintProperty(layer, layer === "places" ? "circle-opacity" : "text-opacity", left.size > 0 ? 0.25 : 0.75);
  }
}

function fail(element: HTMLElement, reason: "webgl" | "parcels", sentence: string): void {
  const message = document.createElement("p");
  message.className = "map-fallback";
  message.setAttribute("role", "status");
  message.textContent = sentence;
  element.replaceChildren(message);
  element.dataset["failed"] = reason;
}

async function read(address: string): Promise<Description> {
  const answer = await fetch(address, { headers: { Accept: "application/json" } });
  if (!answer.ok) throw new Error(`${address}: ${answer.status}`);
  return (await answer.json()) as Description;
}

/** Where the tiles of a description lie: beside it, at the address by which the reader came. */
function tilesOf(address: string): string {
  return new URL(address, location.href).href.replace(/\.json$/, "/{z}/{x}/{y}.mvt");
}

/** Whether this browser can draw at all. */
function hasWebGl(): boolean {
  const context = document.createElement("canvas").getContext("webgl2");
  context?.getExtension("WEBGL_lose_context")?.loseContext();
  return context !== null;
}

/** The map, once its style is loaded. Throws where the browser has no WebGL 2. */
async function open(element: HTMLElement, address: string, description: Description, words: Words): Promise<MapView> {
  setWorkerUrl(WORKER);
  const map = new MapView({
    container: element,
    style: styleOf(tilesOf(address), description),
    bounds: description.bounds ?? OPENING_BOUNDS,
    fitBoundsOptions: { padding: 32, maxZoom: 15 },
    fadeDuration: 0, // a count does not outlive the tile that said it
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
  for (const layer of ["dots", "places"]) {
    map.on("click", layer, (event: MapLayerMouseEvent) => {
      map.easeTo({ center: event.lngLat, zoom: map.getZoom() + 2 });
    });
  }
  for (const layer of ["parcels", "dots", "places"]) {
    map.on("mouseenter", layer, () => (map.getCanvas().style.cursor = "pointer"));
    map.on("mouseleave", layer, () => (map.getCanvas().style.cursor = ""));
  }
}

async function show(element: HTMLElement): Promise<void> {
  const language = languageOf(document.documentElement.lang);
  const words = wordsOf(language);
  const address = element.dataset["tiles"] ?? "";
  if (!hasWebGl()) {
    fail(element, "webgl", words.noWebGl);
    return;
  }
  let description: Description;
  try {
    description = await read(address);
  } catch {
    fail(element, "parcels", words.noParcels);
    return;
  }
  let map: MapView;
  try {
    map = await open(element, address, description, words);
  } catch {
    fail(element, "webgl", words.noWebGl);
    return;
  }
  map.getCanvas().setAttribute("aria-label", words.map);
  explainOnClick(map, language, words);
  element.after(legend(map, description, language, words));
  const idle = map.once("idle");
  map.triggerRepaint(); // an idle that has passed already is not told again
  await idle;
  element.dataset["ready"] = String(description.parcels);
}

for (const element of document.querySelectorAll<HTMLElement>("[data-tiles]")) void show(element);
