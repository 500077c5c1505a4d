// The page of the chat rooms. Names and messages are only ever put in place as text.
//
// What is said goes into an outbox that the tab keeps over a reload, and leaves it when the room says that it is stored. A connection
// that is lost is made again, by a client id that stays the same and the number of the last message seen.

const MAX_PAUSE = 5000;
const PING = 20_000;

const $ = (id) => document.getElementById(id);

/** What outlives a reload: who and where, the client id, the numbers, what is not stored yet. */
let tab = null;
let socket = null;
let pause = 0;
/** When what waits is to be sent again, if that was asked for. */
let againAt = 0;
let heard = 0;
/** Messages that are shown, by their numbers; those that wait, by their ids. */
const shown = new Map();
const waiting = new Map();

function keep() {
  if (tab === null) sessionStorage.removeItem("chat");
  else sessionStorage.setItem("chat", JSON.stringify(tab));
}

function status(text) {
  $("status").textContent = text;
}

function line(said, state) {
  const item = document.createElement("li");
  const name = document.createElement("strong");
  name.textContent = said.name;
  const text = document.createElement("span");
  text.textContent = said.text;
  const time = document.createElement("time");
  const at = new Date(said.at);
  time.dateTime = at.toISOString();
  time.textContent = state === "waiting" ? "waiting" : at.toLocaleTimeString();
  item.dataset.state = state;
  item.append(name, " ", text, " ", time);
  return item;
}

function put(item) {
  const log = $("said");
  const atEnd = log.scrollHeight - log.scrollTop - log.clientHeight < 40;
  // What waits stays below what is stored.
  const first = item.dataset.state === "waiting" ? null : [...waiting.values()][0];
  log.insertBefore(item, first ?? null);
  if (atEnd) log.scrollTop = log.scrollHeight;
}

function show(said) {
  if (shown.has(said.number)) return;
  const item = line(said, "stored");
  item.dataset.number = said.number;
  shown.set(said.number, item);
  put(item);
  tab.seen = Math.max(tab.seen, said.number);
  keep();
}

function showWaiting({ id, text }) {
  const item = line({ name: tab.name, text, at: Date.now() }, "waiting");
  waiting.set(id, item);
  put(item);
}

function stored(last) {
  tab.outbox = tab.outbox.filter(({ id }) => id > last);
  for (const [id, item] of waiting) {
    if (id > last) continue;
    item.remove();
    waiting.delete(id);
  }
  keep();
}

function flush() {
  if (socket?.readyState !== WebSocket.OPEN) return;
  for (const one of tab.outbox) socket.send(JSON.stringify(one));
}

const on = {
  welcome({ last, said }) {
    pause = 0;
    status(`Connected as ${tab.name}`);
    for (const one of said) show(one);
    stored(last);
    // The room counts for us; when it has forgotten, what waits is counted anew.
    tab.outbox.forEach((one, i) => (one.id = last + 1 + i));
    tab.last = last + tab.outbox.length;
    for (const item of waiting.values()) item.remove();
    waiting.clear();
    tab.outbox.forEach(showWaiting);
    keep();
    flush();
  },
  said: ({ said }) => show(said),
  stored: ({ id }) => stored(id),
  again({ after }) {
    const at = performance.now() + after;
    if (at <= againAt) return;
    againAt = at;
    status(`Not so fast: sending again in ${Math.ceil(after / 1000)} s`);
    setTimeout(() => {
      if (tab === null || at !== againAt) return;
      if (socket?.readyState === WebSocket.OPEN) status(`Connected as ${tab.name}`);
      flush();
    }, after);
  },
  here({ names }) {
    const items = names.map((name) => {
      const item = document.createElement("li");
      item.textContent = name;
      return item;
    });
    $("here").replaceChildren(...items);
  },
};

function connect() {
  const { room, client, name, seen } = tab;
  const query = new URLSearchParams({ client, name, after: String(seen) });
  const url = new URL(`/rooms/${encodeURIComponent(room)}/socket?${query}`, location.href);
  url.protocol = url.protocol.replace("http", "ws");
  const mine = new WebSocket(url);
  socket = mine;
  heard = performance.now();
  status("Connecting");
  mine.onmessage = ({ data }) => {
    if (socket !== mine) return;
    heard = performance.now();
    if (data === "pong") return;
    const message = JSON.parse(data);
    if (Object.hasOwn(on, message.type)) on[message.type](message);
  };
  mine.onclose = () => lost(mine);
}

function lost(mine) {
  if (socket !== mine || tab === null) return;
  socket = null;
  // Not all at once, when a room comes back.
  const chance = crypto.getRandomValues(new Uint32Array(1))[0] / 2 ** 32;
  pause = Math.min(MAX_PAUSE, Math.max(100, pause * 2));
  status("Connection lost: reconnecting");
  $("here").replaceChildren();
  setTimeout(() => tab !== null && socket === null && connect(), pause * (0.5 + chance / 2));
}

setInterval(() => {
  if (socket?.readyState !== WebSocket.OPEN) return;
  if (performance.now() - heard > 2.5 * PING) {
    const dead = socket;
    dead.close();
    lost(dead);
  } else socket.send("ping");
}, PING);

function enter() {
  $("enter").hidden = true;
  $("talk").hidden = false;
  $("title").textContent = tab.room;
  document.title = `${tab.room}: chat rooms`;
  tab.outbox.forEach(showWaiting);
  connect();
  $("text").focus();
}

$("enter").addEventListener("submit", (event) => {
  event.preventDefault();
  const { name, room } = Object.fromEntries(new FormData(event.target));
  if (name.trim() === "") return;
  // A page without TLS has no randomUUID.
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  const client = Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
  tab = { name: name.trim(), room, client, seen: 0, last: 0, outbox: [] };
  keep();
  enter();
});

$("say").addEventListener("submit", (event) => {
  event.preventDefault();
  const text = $("text").value;
  if (text.trim() === "") return;
  const one = { id: ++tab.last, text };
  tab.outbox.push(one);
  keep();
  showWaiting(one);
  if (socket?.readyState === WebSocket.OPEN) socket.send(JSON.stringify(one));
  $("text").value = "";
});

$("leave").addEventListener("click", () => {
  tab = null;
  keep();
  socket?.close();
  location.reload();
});

const before = sessionStorage.getItem("chat");
if (before !== null) {
  tab = JSON.parse(before);
  // What was shown is gone with the page: it is asked for again.
  tab.seen = 0;
  enter();
}
