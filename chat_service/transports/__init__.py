"""How clients connect: sockets, channels and encoding. Independent of stores and rules."""
