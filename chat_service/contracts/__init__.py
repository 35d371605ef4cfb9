"""The contracts between the parts: stores, buses and transports, as protocols and value types."""
