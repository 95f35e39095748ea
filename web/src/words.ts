// The map's words in the two languages of the pages. The rest of a page is translated by the server.

export type Language = "zh-CN" | "en";

export interface Words {
  readonly map: string;
  readonly village: string;
  readonly area: string;
  readonly status: string;
  readonly mu: string;
  /** In place of the village of a parcel that is hidden. */
  readonly hidden: string;
  /** A rounded area, `{area}` in mu. */
  readonly about: string;
  /** What pressing a state in the key does. */
  readonly toggle: string;
  readonly noWebGl: string;
  readonly noParcels: string;
  /** Names of the states of a parcel. */
  readonly states: Readonly<Record<string, string>>;
  /** MapLibre's own texts, by its keys. */
  readonly controls: Readonly<Record<string, string>>;
}

const CHINESE: Words = {
  map: "地块地图",
  village: "村",
  area: "面积",
  status: "状态",
  mu: "亩",
  hidden: "不公开",
  about: "约 {area} 亩",
  toggle: "显示或隐藏此状态的地块",
  noWebGl: "这个浏览器不能显示地图（缺少 WebGL 2）。下面的表格有同样的内容。",
  noParcels: "地块没有读到，请稍后刷新页面。",
  states: {
    draft: "草稿",
    submitted: "已提交",
    in_review: "核验中",
    returned: "已退回",
    eligible: "合格",
    enrolled: "已入项目",
    suspended: "已暂停",
    rejected: "已驳回",
    superseded: "已被替代",
    closed: "已关闭",
  },
  controls: {
    "Map.Title": "地图",
    "NavigationControl.ZoomIn": "放大",
    "NavigationControl.ZoomOut": "缩小",
    "Popup.Close": "关闭",
    "ScaleControl.Meters": "米",
    "ScaleControl.Kilometers": "公里",
    "CooperativeGesturesHandler.WindowsHelpText": "按住 Ctrl 并滚动可缩放地图",
    "CooperativeGesturesHandler.MacHelpText": "按住 ⌘ 并滚动可缩放地图",
    "CooperativeGesturesHandler.MobileHelpText": "用两个手指移动地图",
  },
};

const ENGLISH: Words = {
  map: "Map of the parcels",
  village: "Village",
  area: "Area",
  status: "State",
  mu: "mu",
  hidden: "not shown",
  about: "about {area} mu",
  toggle: "show or hide parcels in this state",
  noWebGl: "This browser cannot draw the map (it lacks WebGL 2). The tables below hold the same facts.",
  noParcels: "The parcels could not be read; please reload the page later.",
  states: {
    draft: "draft",
    submitted: "submitted",
    in_review: "in review",
    returned: "returned",
    eligible: "eligible",
    enrolled: "enrolled",
    suspended: "suspended",
    rejected: "rejected",
    superseded: "superseded",
    closed: "closed",
  },
  controls: {},
};

/** The page's language, by the tag of `<html lang>`; Chinese unless it is English. */
export function languageOf(tag: string): Language {
  return tag.toLowerCase().startsWith("en") ? "en" : "zh-CN";
}

export function wordsOf(language: Language): Words {
  return language === "en" ? ENGLISH : CHINESE;
}
