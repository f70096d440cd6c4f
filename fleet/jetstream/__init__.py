"""Results from a stream of a NATS cluster, whose MQTT gateway devices speak to."""
