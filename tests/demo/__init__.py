"""`tidewater demo`: what it prints works when pasted."""
