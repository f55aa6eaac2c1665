"""Real servers on loopback for tests of what touches the world: good ones, and ones with named misbehaviours."""
