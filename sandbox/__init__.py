"""Outside services as they speak on the wire, for demonstrations and tests: nothing here is part of an installation."""
