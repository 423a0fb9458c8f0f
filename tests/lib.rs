//! Support for the integration tests: starting a hub, talking to it, telling its story.
