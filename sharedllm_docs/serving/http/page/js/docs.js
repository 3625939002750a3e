// The OpenAPI document of this server, for reading. The usual viewers fetch scripts from elsewhere or need a looser
// content policy.
import { headers } from "./api.js";
import { h } from "./dom.js";

const place = document.getElementById("api");
let schemas = {};

async function begin() {
  const response = await fetch("/openapi.json", { headers: headers() });
  if (!response.ok) {
    place.append(h("p", { class: "failed" }, response.status === 401
      ? "The description needs the server’s key: open the page first and enter it there." : `The server answered ${response.status}.`));
    return;
  }
  const told = await response.json();
  schemas = told.components?.schemas ?? {};
  const groups = new Map();
  for (const [path, verbs] of Object.entries(told.paths)) {
    for (const [verb, about] of Object.entries(verbs)) {
      const group = about.tags?.[0] ?? "other";
      groups.set(group, [...(groups.get(group) ?? []), { path, verb, about }]);
    }
  }
  for (const [group, routes] of groups) {
    place.append(h("h2", { id: group }, group[0].toUpperCase() + group.slice(1)), ...routes.map(route));
  }
  place.append(h("h2", {}, "Objects"), ...Object.entries(schemas).filter(([name]) => !/^(HTTP)?Validation/.test(name)).map(object));
}

function route({ path, verb, about }) {
  const body = Object.entries(about.requestBody?.content ?? {})[0];
  const made = Object.entries(about.responses ?? {}).filter(([code]) => code.startsWith("2"))
    .map(([code, one]) => `${code}: ${kind(Object.values(one.content ?? {})[0]?.schema)}`).join(", ");
  return h("article", {},
    h("h3", {}, h("code", {}, h("span", { class: "verb" }, verb.toUpperCase()), ` ${path}`)),
    ...(about.description ?? "").split("\n\n").filter(Boolean).map((text) => h("p", {}, text)),
    about.parameters?.length && table(about.parameters.map((one) =>
      [one.name, `${one.in}, ${kind(one.schema)}${one.required ? ", needed" : ""}`, one.description ?? one.schema?.description])),
    body && h("p", {}, `Body (${body[0]}): `, kind(body[1].schema)),
    made && h("p", { class: "faint" }, `Answers ${made}`),
    h("pre", {}, example(path, verb, body)));
}

function example(path, verb, body) {
  const url = `${location.origin}${path}`;
  if (!body) return verb === "get" ? `curl ${url}` : `curl -X ${verb.toUpperCase()} ${url}`;
  if (body[0] === "multipart/form-data") return `curl -F file=@report.pdf ${url}`;
  const schema = resolve(body[1].schema);
  const fields = Object.entries(schema.properties ?? {}).filter(([name]) => (schema.required ?? []).includes(name));
  const said = Object.fromEntries(fields.map(([name, one]) => [name, sample(resolve(one))]));
  return `curl ${url} -H 'Content-Type: application/json' -d '${JSON.stringify(said)}'`;
}

const sample = (schema) => ({ array: [], integer: 1, number: 1, boolean: false, object: {} })[schema.type] ?? "…";

const resolve = (schema) => (schema?.$ref ? schemas[schema.$ref.split("/").pop()] ?? {} : schema ?? {});

function kind(schema) {
  if (!schema) return "nothing";
  if (schema.$ref) return schema.$ref.split("/").pop();
  if (schema.anyOf) return schema.anyOf.map(kind).join(" or ");
  if (schema.enum) return schema.enum.map((one) => JSON.stringify(one)).join(" | ");
  if (schema.const !== undefined) return JSON.stringify(schema.const);
  if (schema.type === "array") return `list of ${kind(schema.items)}`;
  return schema.format ?? schema.type ?? "anything";
}

function object([name, schema]) {
  const needed = schema.required ?? [];
  return h("article", { id: `object-${name}` }, h("h3", {}, h("code", {}, name)),
    schema.description && h("p", {}, schema.description),
    schema.properties && table(Object.entries(schema.properties).map(([field, one]) =>
      [field, `${kind(one)}${needed.includes(field) ? "" : ", optional"}`, one.description])));
}

const table = (rows) => h("table", {},
  h("thead", {}, h("tr", {}, ["Name", "Kind", "What it is"].map((text) => h("th", { scope: "col" }, text)))),
  h("tbody", {}, rows.map(([name, type, text]) =>
    h("tr", {}, h("td", {}, h("code", {}, name)), h("td", {}, type), h("td", {}, text ?? "")))));

begin();
