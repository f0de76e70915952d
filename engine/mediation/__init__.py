"""Usage records that come as files: read once, compared with what was charged online, charged through the one door."""
