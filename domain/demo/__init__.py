"""The whole product in eleven scenes: `python -m domain.demo`; and in a storm: `python -m domain.demo.storm`."""
