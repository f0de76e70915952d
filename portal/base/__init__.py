"""What all pages share: sessions, forms that only our own pages can send, the policy of the browser, words, layout."""
