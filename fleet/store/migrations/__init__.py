"""The history of the store's schema, applied by `fleet.database`."""
