"""As much of docker's Python package as aiokafka's tests use. A container that is run with ADVERTISED_PORT in its
environment is the broker: what connects to that port is connected to BROKER_PORT. Commands do nothing in it."""

import asyncio
import os
import threading
import types

from relay import relaying


class Container:
    def exec_run(self, *_words, **_options):
        return 0, b""

    def stop(self):
        pass


class Containers:
    def run(self, environment=None, **_options):
        if environment:
            threading.Thread(target=asyncio.run, daemon=True, args=(
                relaying(environment["ADVERTISED_PORT"], os.environ["BROKER_PORT"], asyncio.Event().wait),)).start()
        return Container()


class Client:
    containers = Containers()

    def close(self):
        pass


models = types.SimpleNamespace(containers=types.SimpleNamespace(Container=Container))


def from_env():
    return Client()
