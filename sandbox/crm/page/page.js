"use strict";
// Texts come from strangers: they only ever become text nodes.

const STATUS_WORDS = {
  new: "новый", offered: "отклик отправлен", in_progress: "в работе", on_review: "на проверке",
  arbitration: "арбитраж", payment_due: "ждёт оплаты", won: "выполнен", lost: "потерян",
  PROSPECTING: "поиск", QUALIFICATION: "оценка", PROPOSAL: "предложение", NEGOTIATION: "переговоры",
  CLOSED_WON: "выигран", CLOSED_LOST: "проигран",
};
const COUNT_WORDS = {
  leads: { one: "лид", few: "лида", many: "лидов", other: "лида" },
  contacts: { one: "контакт", few: "контакта", many: "контактов", other: "контакта" },
};
const seen = new Set();
let chosen = "";
let firstLook = true;

const byId = (id) => document.getElementById(id);

function node(tag, text, className) {
  const made = document.createElement(tag);
  if (text !== null && text !== undefined) made.textContent = text;
  if (className) made.className = className;
  return made;
}

function moment(text, withDay) {
  if (!text) return "—";
  const at = new Date(text);
  if (Number.isNaN(at.getTime())) return text;
  const time = { hour: "2-digit", minute: "2-digit" };
  return withDay
    ? at.toLocaleString("ru-RU", { day: "numeric", month: "short", ...time })
    : at.toLocaleTimeString("ru-RU", { ...time, second: "2-digit" });
}

function money(amount, currency) {
  if (amount === null || amount === undefined) return "—";
  try {
    return amount.toLocaleString("ru-RU", { style: "currency", currency, minimumFractionDigits: Number.isInteger(amount) ? 0 : 2 });
  } catch {
    return `${amount} ${currency}`;
  }
}

function statusBadge(status, count) {
  const word = STATUS_WORDS[status] || status;
  const kind = { won: "won", CLOSED_WON: "won", lost: "lost", CLOSED_LOST: "lost" }[status] || "";
  return node("span", count === undefined ? word : `${word} · ${count}`, `status ${kind}`);
}

function named(name, url, note) {
  const cell = node("td", null, "name");
  if (url && /^https?:\/\//.test(url)) {
    const link = node("a", name);
    link.href = url;
    link.rel = "noopener noreferrer";
    link.target = "_blank";
    cell.append(link);
  } else {
    cell.append(name);
  }
  if (note) cell.append(node("p", note));
  return cell;
}

function holding(child) {
  const cell = node("td");
  cell.append(child);
  return cell;
}

function leadCells(lead) {
  const metadata = lead.metadata || {};
  return [
    named(lead.name, lead.url, lead.description),
    holding(statusBadge(lead.status)),
    node("td", money(lead.budget, lead.currency), "number"),
    node("td", lead.contact_name || lead.contact_id || metadata.contact_external_id || "—"),
    node("td", moment(lead.deadline, true), "time"),
    node("td", lead.external_id, "key"),
    node("td", moment(lead.created_at), "time"),
  ];
}

function contactName(contact) {
  return contact.name || [contact.first_name, contact.last_name].filter(Boolean).join(" ");
}

function contactCells(contact) {
  return [
    named(contactName(contact), contact.url),
    node("td", contact.email || "—"),
    node("td", contact.phone || "—"),
    node("td", contact.external_id, "key"),
    node("td", moment(contact.created_at), "time"),
  ];
}

function fill(name, rows, total, cells) {
  byId(name).hidden = rows.length === 0;
  byId(`${name}-empty`).hidden = rows.length > 0;
  byId(`${name}-total`).textContent = total.toLocaleString("ru-RU");
  byId(`${name}-word`).textContent = COUNT_WORDS[name][new Intl.PluralRules("ru").select(total)];
  byId(`${name}-note`).textContent = total > rows.length ? `последние ${rows.length} из ${total.toLocaleString("ru-RU")}` : "";
  byId(name).tBodies[0].replaceChildren(...rows.map((row) => {
    const line = node("tr");
    const mark = `${chosen} ${row.id}`;
    if (!seen.has(mark) && !firstLook) line.className = "fresh";
    seen.add(mark);
    line.append(...cells(row));
    return line;
  }));
}

function fillTenants(tenants) {
  const select = byId("tenant");
  const options = tenants.map((tenant) => {
    const option = node("option", `${tenant.id} (${tenant.leads})`);
    option.value = tenant.id;
    option.selected = tenant.id === chosen;
    return option;
  });
  select.disabled = options.length === 0;
  if (options.length && document.activeElement !== select) select.replaceChildren(...options);
}

function show(feed) {
  chosen = feed.tenant || "";
  const own = feed.tenants.find((tenant) => tenant.id === chosen) || { leads: 0, contacts: 0 };
  fillTenants(feed.tenants);
  fill("leads", feed.leads, own.leads, leadCells);
  fill("contacts", feed.contacts, own.contacts, contactCells);
  byId("statuses").replaceChildren(...Object.entries(feed.statuses).map(([status, count]) => statusBadge(status, count)));
  firstLook = false;
}

function tell(word, className) {
  byId("link").textContent = word;
  byId("link").className = `link ${className}`;
}

let lastText = "";
async function refresh() {
  try {
    const answer = await fetch(`/_demo/feed?tenant=${encodeURIComponent(chosen)}`);
    const text = await answer.text();
    if (text !== lastText) show(JSON.parse(text));
    lastText = text;
    tell("обновляется само", "good");
  } catch {
    tell("CRM не отвечает", "bad");
  }
  setTimeout(refresh, document.hidden ? 5000 : 1000);
}

byId("tenant").addEventListener("change", (event) => {
  chosen = event.target.value;
  firstLook = true;
  event.target.blur();
});
refresh();
