// Keep the words that come up in one document until the next look, those too that are gone by then, and count its turns
// without a change, every third of which draws a frame: a page that has no time to do what it is about to do has none for
// these either. A frame at every turn would keep the machine busy with drawing what does not change.
// Returns two functions. take hands over {words, still} and forgets the words, each with its place; given true, the count
// begins anew. changed resolves once the document has changed or come to rest since then, at last after so many milliseconds.
// Reads only; changes nothing.
() => {
  const MOST = 200, LONGEST = 400, AT_ONCE = 100, STILL = 12, TURN_MS = 16;
  const SHOWS = ["class", "style", "hidden", "open", "aria-hidden"];
  const clean = (text) => (text || "").replace(/\s+/g, " ").trim();
  const above = (el) => el.parentElement || (el.getRootNode() instanceof ShadowRoot ? el.getRootNode().host : null);
  let kept = new Map(), turns = 0, counts = false, news = false, waiting = [];

  const placeOf = (el) => {
    // What is drawn anew stands among the same elements, wherever these have moved to.
    const parts = [];
    for (let e = el; e && parts.length < 8; e = above(e)) parts.push(e.tagName + (e.id ? `#${e.id}` : ""));
    return parts.join("<");
  };
  const shown = (el) => {
    const rect = el.getBoundingClientRect();
    return el.checkVisibility({ checkOpacity: true, checkVisibilityCSS: true }) && rect.width > 0 && rect.height > 0;
  };
  const speakers = (nodes) => {
    const found = new Set();
    for (const node of nodes) {
      const texts = document.createTreeWalker(node, NodeFilter.SHOW_TEXT);
      let left = AT_ONCE;
      for (let text = node.nodeType === Node.TEXT_NODE ? node : texts.nextNode(); text && left; text = texts.nextNode()) {
        if (text.data.trim() && text.parentElement) { found.add(text.parentElement); left -= 1; }
      }
    }
    return found;
  };
  const hear = (elements) => {
    const unseen = [];
    for (const el of elements) {
      if (kept.size >= MOST) break;
      if (!el.isConnected || /^(SCRIPT|STYLE|NOSCRIPT|TEMPLATE|TEXTAREA|OPTION)$/.test(el.tagName)) continue;
      if (el.textContent.length > 4 * LONGEST) continue;
      if (!shown(el)) { unseen.push(el); continue; }
      const words = clean(el.innerText);
      if (words && words.length <= LONGEST) {
        const place = placeOf(el);
        kept.set(`${place} ${words}`, [place, words]);
      }
    }
    return unseen;
  };
  const wake = () => { news = true; for (const woken of waiting.splice(0)) woken(); };
  const count = () => {
    counts = ++turns < STILL;
    if (!counts) wake(); else if (turns % 3) setTimeout(count, TURN_MS); else requestAnimationFrame(count);
  };
  const stir = () => { turns = 0; if (!counts) { counts = true; requestAnimationFrame(count); } };
  const watch = new MutationObserver((changes) => {
    stir();
    wake();
    const nodes = new Set();
    for (const change of changes) {
      for (const added of change.type === "childList" ? change.addedNodes : [change.target]) {
        nodes.add(added);
        inner(added);
      }
    }
    // What fades in is seen a moment later.
    const unseen = hear(speakers(nodes));
    if (unseen.length) requestAnimationFrame(() => requestAnimationFrame(() => hear(unseen)));
  });
  const observe = (root) => {
    watch.observe(root, { subtree: true, childList: true, characterData: true, attributes: true, attributeFilter: SHOWS });
    inner(root);
  };
  const seen = new WeakSet();
  const inner = (node) => {
    for (const el of node.querySelectorAll ? [node, ...node.querySelectorAll("*")] : []) {
      if (el.shadowRoot && !seen.has(el.shadowRoot)) { seen.add(el.shadowRoot); observe(el.shadowRoot); }
    }
  };
  observe(document);
  if (document.body) hear(speakers([document.body]));
  stir();
  return {
    take: (anew) => {
      if (anew) stir();
      const words = [...kept.values()];
      kept = new Map();
      news = false;
      return { words, still: turns >= STILL && !document.getAnimations().length };
    },
    changed: (ms) => news ? null : new Promise((resolve) => {
      const woken = () => resolve(null);
      waiting.push(woken);
      setTimeout(() => { waiting = waiting.filter((other) => other !== woken); woken(); }, ms);
    }),
  };
}
