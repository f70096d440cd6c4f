"""The fleet's authority: who may connect, how they prove it, and what they may do.

`Authority` is the folder with its certificates and accounts; `rules` says what an account
may read and write, to the embedded broker and to Mosquitto alike; `fleet.jetstream` says
the same to NATS.
"""
