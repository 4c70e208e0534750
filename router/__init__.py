"""The engine: configuration, journal, pipeline, deliveries, API, dashboard and command line."""
