"""Usage records in files: CSV with a header, or JSON lines, plain or gzipped; one by one, or from watched folders."""
