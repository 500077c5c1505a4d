// The page: reads what is said in the room that its address names behind the #, and says something there.

const room = location.hash.slice(1) || "lobby";
const path = `/rooms/${encodeURIComponent(room)}`;
const status = document.querySelector("[role=status]");
const log = document.querySelector("[role=log]");
const form = document.querySelector("form");

document.querySelector("h1").textContent = document.title = room;
addEventListener("hashchange", () => location.reload());

// It connects again by itself, and tells the last message that it has seen.
const events = new EventSource(path);
events.addEventListener("open", () => (status.textContent = "Connected"));
events.addEventListener("error", () => (status.textContent = "Connecting…"));
events.addEventListener("message", ({ data }) => {
  const { name, text } = JSON.parse(data);
  const who = document.createElement("strong");
  // What people write is text, whatever is in it.
  who.textContent = name;
  const item = document.createElement("li");
  item.append(who, `: ${text}`);
  log.append(item);
  item.scrollIntoView();
});

form.addEventListener("submit", (event) => {
  event.preventDefault();
  void say();
});

async function say() {
  const { name, text } = Object.fromEntries(new FormData(form));
  const response = await fetch(path, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ name, text }),
  });
  if (response.ok) form.elements.text.value = "";
  else status.textContent = `Not said: ${await response.text()}`;
}
