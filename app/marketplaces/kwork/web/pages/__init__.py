"""One parser a page: document or answer in, ``Reading`` out, errors raised."""
