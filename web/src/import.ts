// The import page with its progress. Without this file the form is an ordinary one: the server answers the report.
// The API key is read from its field for each request; it is put into no address and kept nowhere.

interface Import {
  readonly id: string;
  readonly status: string;
  readonly step: string;
  readonly done: number;
  readonly total: number;
  readonly reference: string | null;
}

interface Problem {
  readonly detail?: string;
  readonly errors?: ReadonlyArray<{ readonly field?: string; readonly message?: string }>;
}

const POLL_MS = 600;
const UNDER_WAY = ["queued", "running"];

const CHINESE = {
  sending: "正在上传",
  queued: "正在排队",
  running: "正在检查",
  failed: "系统出错，请把此编号告知管理员：",
  broken: "没有得到答复，请重新提交。",
  accept: "接受",
  accepted: "已填入表单，请再次提交文件。",
  steps: { reading: "读取文件", outlines: "检查图形", overlaps: "检查重叠", fields: "检查字段", ground: "对照已登记地块", drafts: "写入草稿" },
};
const ENGLISH: typeof CHINESE = {
  sending: "Sending",
  queued: "Waiting",
  running: "Checking",
  failed: "Something broke here. Give this reference to the operators: ",
  broken: "There was no answer. Please send it again.",
  accept: "Accept",
  accepted: "Filled into the form; send the file again.",
  steps: { reading: "reading the file", outlines: "checking outlines", overlaps: "looking for overlaps", fields: "checking fields", ground: "comparing with registered parcels", drafts: "writing drafts" },
};
const words = document.documentElement.lang.startsWith("zh") ? CHINESE : ENGLISH;

const form = document.querySelector<HTMLFormElement>("form#import");
const box = document.getElementById("progress");
const reportPlace = document.getElementById("report");
if (form && box && reportPlace) begin(form, box, reportPlace);

function begin(form: HTMLFormElement, box: HTMLElement, place: HTMLElement): void {
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const submitter = event.submitter;
    const data = new FormData(form, submitter);
    void run(form, data, box, place);
  });
  offerRepairs(form, place);
}

async function run(form: HTMLFormElement, data: FormData, box: HTMLElement, place: HTMLElement): Promise<void> {
  const buttons = [...form.querySelectorAll("button")];
  const bearer = { Authorization: `Bearer ${String(data.get("key") ?? "")}` };
  for (const button of buttons) button.disabled = true;
  place.replaceChildren();
  document.querySelector(".alarm")?.remove();
  try {
    show(box, words.sending, 0, 0);
    const answered = await send(form.getAttribute("action") ?? "", data, (done, total) => show(box, words.sending, done, total));
    const found = await follow(answered, bearer, box);
    const part = await fetch(`/land/import/${found}?lang=${document.documentElement.lang}`, { headers: bearer });
    if (!part.ok) throw new Error(await said(part));
    const parsed = new DOMParser().parseFromString(await part.text(), "text/html");
    place.replaceChildren(...parsed.body.childNodes);
    offerRepairs(form, place);
    box.hidden = true;
    place.querySelector<HTMLElement>("#outcome")?.focus();
  } catch (fault) {
    box.hidden = true;
    alarm(place, fault instanceof Error && fault.message ? fault.message : words.broken);
  } finally {
    for (const button of buttons) button.disabled = false;
  }
}

/** Sends the form; XMLHttpRequest, because fetch does not say how much of it has gone. */
function send(address: string, data: FormData, advance: (done: number, total: number) => void): Promise<Import> {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open("POST", address);
    request.setRequestHeader("Prefer", "respond-async");
    request.setRequestHeader("Accept-Language", document.documentElement.lang);
    request.upload.addEventListener("progress", (event) => advance(event.loaded, event.total));
    request.addEventListener("error", () => reject(new Error(words.broken)));
    request.addEventListener("load", () => {
      try {
        const body: unknown = JSON.parse(request.responseText);
        if (request.status < 300) resolve(begun(body));
        else reject(new Error(sentence(body as Problem)));
      } catch {
        reject(new Error(words.broken));
      }
    });
    request.send(data);
  });
}

/** A file that was imported before is answered with its report, which names the import. */
function begun(body: unknown): Import {
  const found = body as Import & { readonly import_id?: string };
  if (found.import_id === undefined) return found;
  return { id: found.import_id, status: "taken", step: "", done: 0, total: 0, reference: null };
}

/** Asks until the import is done; answers its id. */
async function follow(first: Import, bearer: HeadersInit, box: HTMLElement): Promise<string> {
  let now = first;
  while (UNDER_WAY.includes(now.status)) {
    const steps: Readonly<Record<string, string>> = words.steps;
    const step = steps[now.step] ?? now.step;
    const label = now.status === "queued" ? words.queued : step ? `${words.running} · ${step}` : words.running;
    show(box, label, now.done, now.total);
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
    const answer = await fetch(`/api/v1/parcel-imports/${now.id}`, { headers: bearer });
    if (!answer.ok) throw new Error(await said(answer));
    now = (await answer.json()) as Import;
  }
  if (now.status === "failed") throw new Error(words.failed + (now.reference ?? ""));
  return now.id;
}

function show(box: HTMLElement, text: string, done: number, total: number): void {
  const [line, bar] = [box.querySelector("p"), box.querySelector("progress")];
  box.hidden = false;
  if (line) line.textContent = text;
  if (!bar) return;
  if (total > 0) {
    bar.max = total;
    bar.value = done;
  } else bar.removeAttribute("value");
}

async function said(answer: Response): Promise<string> {
  return sentence((await answer.json().catch(() => ({}))) as Problem);
}

function sentence(problem: Problem): string {
  const fields = (problem.errors ?? []).map((one) => `${one.field ?? ""}: ${one.message ?? ""}`);
  return [problem.detail ?? words.broken, ...fields].join(" ");
}

function alarm(place: HTMLElement, text: string): void {
  const line = document.createElement("p");
  line.className = "alarm";
  line.setAttribute("role", "alert");
  line.textContent = text;
  place.replaceChildren(line);
}

/** A button beside every proposed outline, which writes its line into the form. */
function offerRepairs(form: HTMLFormElement, place: HTMLElement): void {
  const lines = form.querySelector<HTMLTextAreaElement>("#accept_repairs");
  for (const code of place.querySelectorAll<HTMLElement>("[data-accept]")) {
    const button = document.createElement("button");
    button.type = "button";
    button.className = "button button-quiet";
    button.textContent = words.accept;
    button.addEventListener("click", () => {
      if (!lines) return;
      const kept = lines.value.split("\n").filter((line) => line.trim() && !line.startsWith(`${code.dataset["accept"]?.split("=")[0]}=`));
      lines.value = [...kept, code.dataset["accept"]].join("\n");
      lines.closest("details")?.setAttribute("open", "");
      button.textContent = words.accepted;
      button.disabled = true;
    });
    code.after(button);
  }
}
