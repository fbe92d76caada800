"""Tools for coding assistants and chat apps over the Model Context Protocol: `lfm mcp`."""
