"""Tools and schemas as text, for models that take them no other way, and calls that were written as text."""
