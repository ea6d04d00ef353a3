"""The scenarios of `tidewater fault` in a short form, and the builds with a broken guard, which the checker must see."""
