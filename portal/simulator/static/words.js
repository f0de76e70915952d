// What the page says in the language of the page. The server gives the catalogue; English stands in the scripts.

const words = JSON.parse(document.body.dataset.words);

/** `message` in the page's language, its `{names}` filled in. */
export const say = (message, values = {}) => (words[message] ?? message).replace(/\{(\w+)\}/g, (whole, name) => values[name] ?? whole);
