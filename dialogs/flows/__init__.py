"""The dialogs, one folder each. ``dialogs.catalogue`` lists them."""
