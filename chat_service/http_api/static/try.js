// Builds a form for each route of the OpenAPI document, and shows what the server answers.

const make = (name, properties = {}, ...children) => {
  const element = Object.assign(document.createElement(name), properties);
  element.append(...children);
  return element;
};

const example = (schema) => {
  if (schema.examples) return schema.examples[0];
  if (schema.enum) return schema.enum[0];
  const type = [schema.type].flat()[0];
  if (type === "object") {
    const names = schema.required?.length ? schema.required : Object.keys(schema.properties ?? {}).slice(0, 1);
    return Object.fromEntries(names.map((name) => [name, example(schema.properties?.[name] ?? {})]));
  }
  if (type === "array") return schema.items ? [example(schema.items)] : [];
  return { integer: schema.minimum ?? 0, boolean: true, string: "" }[type] ?? null;
};

const field = (parameter) => {
  const input = make("input", { name: parameter.name, required: parameter.required ?? false });
  const hint = parameter.description ?? "";
  const label = make("label", {}, `${parameter.name} (${parameter.in}) `, input);
  if (hint) label.append(make("span", { className: "hint", textContent: hint }));
  return { parameter, input, label };
};

const address = (base, path, fields) => {
  let place = path;
  const query = new URLSearchParams();
  for (const { parameter, input } of fields) {
    if (parameter.in === "path") place = place.replace(`{${parameter.name}}`, encodeURIComponent(input.value));
    else if (parameter.in === "query" && input.value !== "") query.set(parameter.name, input.value);
  }
  const tail = query.toString();
  return base + place + (tail ? `?${tail}` : "");
};

const show = async (response, output) => {
  output.textContent = `${response.status} ${response.statusText}\n`;
  if (!response.headers.get("content-type")?.startsWith("text/event-stream")) {
    const text = await response.text();
    try {
      output.textContent += JSON.stringify(JSON.parse(text), null, 2);
    } catch {
      output.textContent += text;
    }
    return;
  }
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    output.textContent = (output.textContent + value).slice(-20000);
    output.scrollTop = output.scrollHeight;
  }
};

const form = (base, path, method, operation, shared) => {
  const fields = [...shared, ...(operation.parameters ?? [])].map(field);
  const schema = operation.requestBody?.content["application/json"].schema;
  const body = schema && make("textarea", { value: JSON.stringify(example(schema), null, 2), spellcheck: false });
  const output = make("pre", { hidden: true, tabIndex: 0 });
  let running = null;
  const stop = make("button", { type: "button", textContent: "Stop", hidden: true, onclick: () => running?.abort() });
  const send = async (event) => {
    event.preventDefault();
    running?.abort();
    running = new AbortController();
    stop.hidden = output.hidden = false;
    output.textContent = "…";
    const headers = { Authorization: `Bearer ${document.querySelector("#token").value}` };
    if (body) headers["Content-Type"] = "application/json";
    for (const { parameter, input } of fields)
      if (parameter.in === "header" && input.value !== "") headers[parameter.name] = input.value;
    try {
      const options = { method: method.toUpperCase(), headers, signal: running.signal, body: body?.value };
      await show(await fetch(address(base, path, fields), options), output);
    } catch (error) {
      output.textContent += `\n${error.name === "AbortError" ? "stopped" : error}`;
    }
    stop.hidden = true;
  };
  const bodyLabel = body ? [make("label", {}, "Body (JSON) ", body)] : [];
  return make(
    "details",
    {},
    make("summary", {}, make("code", { textContent: `${method.toUpperCase()} ${path}` }), ` ${operation.summary}`),
    make("p", { textContent: operation.description }),
    make(
      "form",
      { onsubmit: send },
      ...fields.map(({ label }) => label),
      ...bodyLabel,
      make("button", { textContent: "Send" }),
      stop,
    ),
    output,
  );
};

const build = async () => {
  const routes = document.querySelector("#routes");
  const api = await (await fetch("openapi.json")).json();
  const groups = new Map();
  for (const [path, item] of Object.entries(api.paths))
    for (const [method, operation] of Object.entries(item)) {
      if (method === "parameters") continue;
      const tag = operation.tags[0];
      if (!groups.has(tag)) groups.set(tag, make("section", {}, make("h2", { textContent: tag })));
      groups.get(tag).append(form(api.servers[0].url, path, method, operation, item.parameters ?? []));
    }
  routes.replaceChildren(...groups.values());
};

build().catch((error) => {
  document.querySelector("#routes").textContent = `The OpenAPI document cannot be read: ${error}`;
});
