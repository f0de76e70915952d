// What the page says in the language of the page. The server gives the catalogue; English stands in the scripts.

const words = JSON.parse(document.body.dataset.words);

/** `message` in the page's language, its `{names}` filled in. */
export const say = (message, values = {}) => (words[message] ?? message).replace(/\{(\w+)\}/g, (whole, name) => values[name] ?? whole);

/** An amount as people read it; where they write from the right it keeps its own order (UAX #9). */
export function shownAmount(unit, amount) {
  if (unit === "seconds") return say("{count} min", { count: +(amount / 60).toFixed(1) });
  if (unit === "messages") return say("{count} texts", { count: amount });
  const [size, name] = [[1e9, "GB"], [1e6, "MB"], [1e3, "kB"], [1, "B"]].find(([least]) => amount >= least) ?? [1, "B"];
  const shown = `${+(amount / size).toFixed(2)} ${name}`;
  return document.documentElement.dir === "rtl" ? `\u2066${shown}\u2069` : shown;
}
