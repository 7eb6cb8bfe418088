// Shows what was said. The server sends whole entries; each replaces the earlier one of its number.

// A long text is shown as far as one reads ahead.
function beginning(text, most) {
  if (text.length <= most) return text;
  return `${text.slice(0, most).replace(/\s+\S*$/, "")} …`;
}

export class Transcript {
  #list;
  #items = new Map();
  #put = 0;
  #announce;
  #words;

  // announce: tells a screen reader what is settled. words: gives the page's words in its present language.
  constructor(list, announce, words) {
    this.#list = list;
    this.#announce = announce;
    this.#words = words;
  }

  clear() {
    this.#list.replaceChildren();
    this.#items.clear();
  }

  take(entry) {
    if (entry.kind === "gone") {
      this.#items.get(entry.id)?.remove();
      this.#items.delete(entry.id);
      return;
    }
    const item = this.#items.get(entry.id) ?? this.#append(entry.id);
    const follows = !item.nextSibling && !this.#readsElsewhere;
    this[`_${entry.kind}`]?.(item, entry);
    if (follows) this.#follow(item);
  }

  // Keeps the place in sight up to which was heard, or the end.
  #follow(item) {
    const [end, list] = [item.querySelector(".heard:not(:last-child)") ?? item, this.#list];
    const below = end.getBoundingClientRect().bottom + 72 - list.getBoundingClientRect().bottom;
    list.scrollTop = item.classList.contains("closed") || end === item ? list.scrollHeight : list.scrollTop + Math.max(0, below);
    this.#put = list.scrollTop;
  }

  // Who has scrolled up reads something else; back at the end, the talk is followed again.
  get #readsElsewhere() {
    return this.#list.scrollTop < this.#put - 8;
  }

  #append(id) {
    const item = document.createElement("li");
    this.#items.set(id, item);
    this.#list.append(item);
    return item;
  }

  _user(item, { text, open, aside }) {
    item.className = `user${aside ? " aside" : ""}`;
    item.textContent = text;
    if (!open) this.#once(item, this.#words().you(text));
  }

  _bot(item, { heard, parts, rest, interrupted, closed }) {
    item.className = `bot${interrupted ? " interrupted" : ""}${closed ? " closed" : ""}`;
    const [said, unsaid] = [document.createElement("span"), document.createElement("span")];
    said.className = "heard";
    parts.forEach(({ text, shown, skipped }, number) => {
      const part = document.createElement(shown ? "pre" : "span");
      part.className = `${shown ? "shown" : ""}${skipped ? " skipped" : ""}`.trim();
      part.textContent = shown ? text : `${number ? " " : ""}${text}`;
      said.append(part);
    });
    unsaid.className = "rest";
    unsaid.textContent = beginning(rest, interrupted ? 70 : 240);
    item.replaceChildren(said, unsaid);
    item.hidden = !parts.length && interrupted;
    if (closed) this.#once(item, this.#words().bot(heard));
  }

  _tool(item, { name, done }) {
    item.className = "tool";
    item.textContent = this.#words().tool(name, done);
  }

  _problem(item, { text }) {
    item.className = "problem";
    item.textContent = text;
  }

  #once(item, text) {
    if (item.dataset.told === text) return;
    item.dataset.told = text;
    this.#announce(text);
  }
}
